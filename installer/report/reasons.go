package report

// Reason is one word from the closed list in contract.json, which the operator reads too.
type Reason string

// Reasons of install, guard and remove. What each means and what to do about it stands in contract.json.
const (
	SourceNotFound        Reason = "SourceNotFound"
	WrongArchitecture     Reason = "WrongArchitecture"
	MissingInterpreter    Reason = "MissingInterpreter"
	DirectoryMismatch     Reason = "DirectoryMismatch"
	PluginDirNotFound     Reason = "PluginDirNotFound"
	PluginDirReadOnly     Reason = "PluginDirReadOnly"
	PluginDirNoExec       Reason = "PluginDirNoExec"
	InitFailed            Reason = "InitFailed"
	InitInvalidOutput     Reason = "InitInvalidOutput"
	InitTimeout           Reason = "InitTimeout"
	InitNotExecutable     Reason = "InitNotExecutable"
	DuplicateDriver       Reason = "DuplicateDriver"
	ForeignDriverPresent  Reason = "ForeignDriverPresent"
	PublishFailed         Reason = "PublishFailed"
	PermissionDenied      Reason = "PermissionDenied"
	InternalError         Reason = "InternalError"
	MissingHostCommand    Reason = "MissingHostCommand"
	MissingKernelModule   Reason = "MissingKernelModule"
	MissingHostPath       Reason = "MissingHostPath"
	NoSpace               Reason = "NoSpace"
	SELinuxDenied         Reason = "SELinuxDenied"
	InitNotSupported      Reason = "InitNotSupported"
	InitWouldCrashKubelet Reason = "InitWouldCrashKubelet"
	InitOOMKilled         Reason = "InitOOMKilled"
	Contested             Reason = "Contested"
	VolumesMounted        Reason = "VolumesMounted"
	NotOwner              Reason = "NotOwner"
)

// Reasons lists every reason this program can give.
var Reasons = []Reason{
	SourceNotFound, WrongArchitecture, MissingInterpreter, DirectoryMismatch, PluginDirNotFound,
	PluginDirReadOnly, PluginDirNoExec, InitFailed, InitInvalidOutput, InitTimeout,
	InitNotExecutable, DuplicateDriver, ForeignDriverPresent, PublishFailed, PermissionDenied,
	InternalError, MissingHostCommand, MissingKernelModule, MissingHostPath, NoSpace, SELinuxDenied,
	InitNotSupported, InitWouldCrashKubelet, InitOOMKilled, Contested, VolumesMounted, NotOwner,
}

// Warnings.
const (
	AttachTrue        = "AttachTrue"
	AttachMissing     = "AttachMissing"
	SlowInit          = "SlowInit"
	Unverified        = "Unverified"
	AdoptedWithBackup = "AdoptedWithBackup"
)

// Warnings lists every warning this program can give.
var Warnings = []string{AttachTrue, AttachMissing, SlowInit, Unverified, AdoptedWithBackup}
