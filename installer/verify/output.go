package verify

import (
	"errors"
	"sync"
)

// maxOutput is far above any sane answer, which has some 100 bytes.
const maxOutput = 1 << 20

var errFull = errors.New("too much output")

// output collects what a driver prints, up to a limit, and can be read while it still prints.
type output struct {
	mutex sync.Mutex
	data  []byte
}

// Write fails beyond the limit, which ends the copying.
func (o *output) Write(more []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.data = append(o.data, more...)
	if len(o.data) > maxOutput {
		return len(more), errFull
	}
	return len(more), nil
}

func (o *output) bytes() []byte {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.data
}

func (o *output) full() bool { return len(o.bytes()) > maxOutput }
