package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Answers of init.
const (
	Good      = `{"status":"Success","capabilities":{"attach":false,"fsGroup":false}}`
	NullCaps  = `{"status":"Success","capabilities":null}`
	Failure   = `{"status":"Failure","message":"no disk"}`
	GoodReply = "echo '" + Good + "'"
)

// Script is a shell driver whose init does what body says.
func Script(body string) string {
	return "#!/bin/sh\ncase $1 in\ninit)\n" + body + "\n;;\n*) echo '{\"status\":\"Not supported\"}';;\nesac\n"
}

// GoodScript is a driver that works; version makes its content differ.
func GoodScript(version string) string {
	return Script(GoodReply) + "# version " + version + "\n"
}

// Write makes a file with content, and its directories.
func Write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Read gives a file's content.
func Read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// List names what is in a directory, as one string to compare.
func List(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return fmt.Sprint(names)
}
