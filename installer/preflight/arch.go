package preflight

import "fmt"

// family is a machine number and word size with which a kernel may start a program.
type family struct {
	machine   uint16
	bits      int
	bigEndian bool
}

// runnable lists, per architecture of the node, the node's own family and then the one its kernel
// may run for compatibility; whether it does only running init tells.
var runnable = map[string][]family{
	"386":     {{3, 32, false}},
	"amd64":   {{62, 64, false}, {3, 32, false}, {62, 32, false}},
	"arm":     {{40, 32, false}},
	"arm64":   {{183, 64, false}, {40, 32, false}},
	"loong64": {{258, 64, false}},
	"ppc64le": {{21, 64, false}},
	"riscv64": {{243, 64, false}},
	"s390x":   {{22, 64, true}},
}

// names of machine numbers, as Kubernetes spells architectures where it has a word.
var names = map[uint16]string{
	3: "386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64",
	243: "riscv64", 258: "loong64",
}

// runsOn says whether a node of this architecture may run the program.
func (b binaryFile) runsOn(arch string) bool {
	for _, f := range runnable[arch] {
		if f == (family{b.Machine, b.Bits, b.BigEndian}) {
			return true
		}
	}
	return false
}

func (b binaryFile) String() string {
	name, known := names[b.Machine]
	if !known {
		name = fmt.Sprintf("machine %d", b.Machine)
	}
	order := "little-endian"
	if b.BigEndian {
		order = "big-endian"
	}
	return fmt.Sprintf("%s (%d-bit, %s)", name, b.Bits, order)
}
