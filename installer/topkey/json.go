package topkey

import (
	"bytes"
	"encoding/json"
)

// inJSON goes through the tokens by hand: json.Unmarshal would take a key of another case for ours,
// and of two keys the last, where a null leaves the first in force.
func inJSON(data []byte, key string) (text string, found bool, err error) {
	if !json.Valid(data) {
		return "", false, ErrUnsure
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil { // the brace
		return "", false, ErrUnsure
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return "", false, ErrUnsure
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return "", false, ErrUnsure
		}
		if name != json.Token(key) {
			continue
		}
		if found || json.Unmarshal(value, &text) != nil {
			return "", false, ErrUnsure
		}
		found = true
	}
	return text, found, nil
}
