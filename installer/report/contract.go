package report

import (
	_ "embed"
	"encoding/json"
)

// contractJSON is shared with the operator, which ships the same file.
//
//go:embed contract.json
var contractJSON []byte

// Contract is what operator and node program agree on: reasons and warnings with their remedies, and
// samples of reports.
type Contract struct {
	ReportVersion int                         `json:"reportVersion"`
	Reasons       map[Reason]ReasonInContract `json:"reasons"`
	Warnings      map[string]ReasonInContract `json:"warnings"`
	Samples       []json.RawMessage           `json:"samples"`
}

// ReasonInContract explains one reason.
type ReasonInContract struct {
	By      string `json:"by"` // who gives it: install, guard, remove or operator
	Meaning string `json:"meaning"`
	Remedy  string `json:"remedy"`
}

// LoadContract reads the contract that this program was built with.
func LoadContract() (Contract, error) {
	var c Contract
	err := json.Unmarshal(contractJSON, &c)
	return c, err
}

// Remedy says what a person can do about a reason.
func Remedy(reason Reason) string {
	c, err := LoadContract()
	if err != nil {
		return err.Error()
	}
	return c.Reasons[reason].Remedy
}
