package report

// Reason is one word from the closed list in contract.json, which the operator reads too.
type Reason string

// Reasons of install and guard. What each means and what to do about it stands in contract.json.
const (
	SourceNotFound          Reason = "SourceNotFound"
	WrongArchitecture       Reason = "WrongArchitecture"
	InterpreterNotFound     Reason = "InterpreterNotFound"
	PluginDirNotFound       Reason = "PluginDirNotFound"
	PluginDirReadOnly       Reason = "PluginDirReadOnly"
	PluginDirNoExec         Reason = "PluginDirNoExec"
	InitFailed              Reason = "InitFailed"
	InitInvalidOutput       Reason = "InitInvalidOutput"
	InitInvalidCapabilities Reason = "InitInvalidCapabilities"
	InitTimeout             Reason = "InitTimeout"
	InitNotExecutable       Reason = "InitNotExecutable"
	DuplicateDriver         Reason = "DuplicateDriver"
	ForeignDriver           Reason = "ForeignDriver"
	PublishFailed           Reason = "PublishFailed"
	HostAccessDenied        Reason = "HostAccessDenied"
	InternalError           Reason = "InternalError"
)

// Reasons lists every reason this program can give.
var Reasons = []Reason{
	SourceNotFound, WrongArchitecture, InterpreterNotFound, PluginDirNotFound, PluginDirReadOnly,
	PluginDirNoExec, InitFailed, InitInvalidOutput, InitInvalidCapabilities, InitTimeout,
	InitNotExecutable, DuplicateDriver, ForeignDriver, PublishFailed, HostAccessDenied, InternalError,
}
