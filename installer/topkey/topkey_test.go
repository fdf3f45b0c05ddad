package topkey

import (
	"errors"
	"os"
	"strings"
	"testing"
)

const key = "volumePluginDir"

// Outcomes that are no text; a path holds no line end.
const (
	unset  = "unset\n"
	unsure = "unsure\n"
)

func outcome(content string) string {
	text, found, err := Find([]byte(content), key)
	switch {
	case errors.Is(err, ErrUnsure):
		return unsure
	case !found:
		return unset
	}
	return text
}

const kind = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"

// plainFiles are spellings that are understood.
var plainFiles = map[string]struct{ content, want string }{
	"alone":                          {"volumePluginDir: /a", "/a"},
	"among others":                   {kind + "volumePluginDir: /a\nmaxPods: 110\n", "/a"},
	"absent":                         {kind, unset},
	"spaces around":                  {"volumePluginDir   :   /a   \n", "/a"},
	"a space inside":                 {"volumePluginDir: /a b/c\n", "/a b/c"},
	"in double quotes":               {"volumePluginDir: \"/a\"\n", "/a"},
	"in single quotes":               {"volumePluginDir: '/a'\n", "/a"},
	"a hash in quotes":               {"volumePluginDir: '/a #b'  # c\n", "/a #b"},
	"a comment after it":             {"volumePluginDir: /a # the place\n", "/a"},
	"a hash that is no comment":      {"volumePluginDir: /a#b\n", "/a#b"},
	"a colon inside":                 {"volumePluginDir: /a:b\n", "/a:b"},
	"quotes inside":                  {"volumePluginDir: /it's\n", "/it's"},
	"the key in double quotes":       {"\"volumePluginDir\": /a\n", "/a"},
	"the key in single quotes":       {"'volumePluginDir' : /a\n", "/a"},
	"commented out":                  {kind + "#volumePluginDir: /a\n # volumePluginDir: /b\n", unset},
	"another case":                   {"volumeplugindir: /a\nVolumePluginDir: /b\n", unset},
	"a longer key":                   {"volumePluginDirs: /a\nmyvolumePluginDir: /b\n", unset},
	"no text":                        {kind + "volumePluginDir:\n", ""},
	"no text before another key":     {"volumePluginDir:\n\n# none\nmaxPods: 1\n", ""},
	"no text but a comment":          {"volumePluginDir: # none\n", ""},
	"a null":                         {"volumePluginDir: null\n", ""},
	"a tilde":                        {"volumePluginDir: ~\n", ""},
	"empty quotes":                   {"volumePluginDir: \"\"\n", ""},
	"relative":                       {"volumePluginDir: plugins/exec\n", "plugins/exec"},
	"relative, one name":             {"volumePluginDir: plugins\n", "plugins"},
	"relative, upwards":              {"volumePluginDir: ../plugins/\n", "../plugins/"},
	"a number in quotes":             {"volumePluginDir: '10'\n", "10"},
	"home of nobody":                 {"volumePluginDir: ~/plugins\n", "~/plugins"},
	"not ASCII":                      {"volumePluginDir: /plügins\n", "/plügins"},
	"Windows line ends":              {"kind: KubeletConfiguration\r\nvolumePluginDir: /a\r\n", "/a"},
	"Windows line ends and quotes":   {"volumePluginDir: \"/a\"\r\nmaxPods: 1\r\n", "/a"},
	"a document mark":                {"---\n" + kind + "volumePluginDir: /a\n", "/a"},
	"a document mark with comments":  {"# by hand\n\n--- # here\nvolumePluginDir: /a\n...\n", "/a"},
	"a second document":              {"volumePluginDir: /a\n---\nvolumePluginDir: /b\n", "/a"},
	"only in the second document":    {kind + "---\nvolumePluginDir: /b\n", unset},
	"below another key":              {"a:\n  volumePluginDir: /a\n", unset},
	"in a list":                      {"a:\n- volumePluginDir: /a\n", unset},
	"in an indented list":            {"a:\n  - b: 1\n    volumePluginDir: /a\n", unset},
	"in a list of lists":             {"a:\n- - volumePluginDir: /a\n  - b\n", unset},
	"in a literal text":              {"a: |\n  volumePluginDir: /a\n\n  \"open\nvolumePluginDir: /b\n", "/b"},
	"in a folded text":               {"a: >-2 # folded\n  [volumePluginDir: /a\nb: 1\n", unset},
	"in a literal text of a list":    {"a:\n- |\n  volumePluginDir: \"/a\n- b: |+\n    'c\n  d: 1\n", unset},
	"in a text over two lines":       {"a: \"b\nvolumePluginDir: /a\n\"\n", unset},
	"after a text over two lines":    {"a: 'b\n  it''s: [\n\n  c'\nvolumePluginDir: /a\n", "/a"},
	"in brackets over lines":         {"a: [\nvolumePluginDir: /a\n]\n", unset},
	"after brackets over lines":      {"a: [ # list\n  b, 'c]', \"d\\\"]\", # ]\n  {e: [], \"f\":'}'}\n]\nvolumePluginDir: /a\n", "/a"},
	"after braces":                   {"a: {}\nb: {c: d, e: {f: 1}} # none\nvolumePluginDir: /a\n", "/a"},
	"after a value below its key":    {"a:\n  \"b\"\nc:\n  [d,\n  e]\nvolumePluginDir: /a\n", "/a"},
	"after lists and maps":           {"clusterDNS:\n- 10.96.0.10\nevictionHard:\n  nodefs.available: 10%\n  'x y': \"0\"\nvolumePluginDir: /a\n", "/a"},
	"after an empty list item":       {"a:\n-\n- -1\n- b\nvolumePluginDir: /a\n", "/a"},
	"JSON":                           {`{"kind":"KubeletConfiguration","volumePluginDir":"/a"}`, "/a"},
	"JSON over lines":                {"\n{\n  \"a\": {\"volumePluginDir\": \"/b\"},\n\t\"volumePluginDir\" :\n\t\"/a\"\r\n}\n", "/a"},
	"JSON without it":                {`{"a":["volumePluginDir"],"VolumePluginDir":"/a"}`, unset},
	"JSON with escapes":              {`{"volumePluginDi\u0072":"\/a\u002fb\\c"}`, `/a/b\c`},
	"JSON with null":                 {`{"volumePluginDir":null}`, ""},
	"JSON with an empty text":        {`{"volumePluginDir":""}`, ""},
	"JSON with the key as a value":   {`{"a":"volumePluginDir","b":{"c":[1,{"volumePluginDir":"/b"}]}}`, unset},
	"JSON with nothing in it":        {"{}", unset},
	"a mark at the end of a literal": {"a: |\n  b\n---\nvolumePluginDir: /a\n", unset},
}

// unclearFiles are correct, wrong or cunning: whatever they mean, it is not told.
var unclearFiles = map[string]string{
	"nothing":                            "",
	"comments only":                      "# volumePluginDir: /a\n",
	"an empty first document":            "---\n---\nvolumePluginDir: /a\n",
	"an end before the beginning":        "...\nvolumePluginDir: /a\n",
	"a text after the mark":              "--- {volumePluginDir: /a}\n",
	"a directive":                        "%YAML 1.1\n---\nvolumePluginDir: /a\n",
	"twice":                              "volumePluginDir: /a\nvolumePluginDir: /b\n",
	"twice, once in quotes":              "volumePluginDir: /a\n'volumePluginDir': /a\n",
	"a literal":                          "volumePluginDir: |\n  /a\n",
	"a folded text":                      "volumePluginDir: >-\n  /a\n",
	"an anchor":                          "volumePluginDir: &dir /a\n",
	"an alias":                           "a: &dir /a\nvolumePluginDir: *dir\n",
	"a tag":                              "volumePluginDir: !!str /a\n",
	"a binary":                           "volumePluginDir: !!binary L2E=\n",
	"a merge":                            "<<: {volumePluginDir: /b}\na: 1\n",
	"a list":                             "volumePluginDir: [/a]\n",
	"a list below":                       "volumePluginDir:\n- /a\n",
	"a map below":                        "volumePluginDir:\n  a: /a\n",
	"a value below":                      "volumePluginDir:\n  /a\n",
	"goes on below":                      "volumePluginDir: /a\n  /b\n",
	"goes on below in quotes":            "volumePluginDir: \"/a\n  /b\"\n",
	"escapes":                            `volumePluginDir: "/a\x2fb"`,
	"doubled quotes":                     "volumePluginDir: '/it''s'\n",
	"an escape in the key":               `"volumePlugin\x44ir": /a`,
	"a complex key":                      "? volumePluginDir\n: /a\n",
	"quotes that do not end":             "volumePluginDir: \"/a\n",
	"text after quotes":                  "volumePluginDir: '/a' b\n",
	"a comment too near":                 "volumePluginDir: '/a'#b\n",
	"two colons":                         "volumePluginDir: /a: b\n",
	"an item after the colon":            "volumePluginDir: - /a\n",
	"no space after the colon":           "volumePluginDir:/a\n",
	"no colon":                           "volumePluginDir\n",
	"a number":                           "volumePluginDir: 10\n",
	"a negative number":                  "volumePluginDir: -1\n",
	"a number of another kind":           "volumePluginDir: .inf\n",
	"a date":                             "volumePluginDir: 2026-01-01\n",
	"a yes":                              "volumePluginDir: Yes\n",
	"a null of another case":             "volumePluginDir: nULL\n",
	"a variable":                         "volumePluginDir: $HOME\n",
	"a percent sign":                     "volumePluginDir: %h/a\n",
	"a tab":                              "volumePluginDir:\t/a\n",
	"a tab before a comment":             "volumePluginDir: /a\t# b\n",
	"an indented file":                   "  volumePluginDir: /a\n",
	"a list as file":                     "- volumePluginDir: /a\n",
	"a flow map":                         "# flow\n{volumePluginDir: /a}\n",
	"JSON that is none":                  "{volumePluginDir: /a}\n",
	"JSON with more after it":            `{"volumePluginDir":"/a"}{}`,
	"JSON that is cut off":               `{"volumePluginDir":"/a"`,
	"JSON twice":                         `{"volumePluginDir":"/a","volumePluginDir":null}`,
	"JSON with a number":                 `{"volumePluginDir":1}`,
	"JSON with a list":                   `{"volumePluginDir":["/a"]}`,
	"a list of JSON":                     `[{"volumePluginDir":"/a"}]`,
	"not UTF-8":                          "volumePluginDir: /a\xff\n",
	"a byte order mark":                  "\ufeffvolumePluginDir: /a\n",
	"a mark inside":                      "a: 1\n\ufeffvolumePluginDir: /a\n",
	"old Mac line ends":                  "a: 1\rvolumePluginDir: /a\r",
	"a line end of Unicode":              "a: 1\u2028volumePluginDir: /a\n",
	"a line end of mainframes":           "a: 1\u0085volumePluginDir: /a\n",
	"a zero byte":                        "volumePluginDir: /a\x00\n",
	"an open quote before it":            "a: \"b\nvolumePluginDir: /a\n",
	"an open bracket before it":          "a: [b\nvolumePluginDir: /a\n",
	"a quote inside a text in brackets":  "a: [b \"c]\nvolumePluginDir: /a\n",
	"a quote after a text in brackets":   "a: [b'c', d]\nvolumePluginDir: /a\n",
	"an anchor in brackets":              "a: [&b c]\nvolumePluginDir: /a\n",
	"a question in brackets":             "a: [b?c]\nvolumePluginDir: /a\n",
	"a hash inside a text in brackets":   "a: [b#]\n]\nvolumePluginDir: /a\n",
	"a bracket after a text in brackets": "a: [b[c]]\nvolumePluginDir: /a\n",
	"brackets as a key":                  "[a]: b\nvolumePluginDir: /a\n",
	"a plain text that goes on":          "a: b\n  \"c\nvolumePluginDir: /a\n",
	"a plain item that goes on":          "a:\n- b\n  'c\nvolumePluginDir: /a\n",
	"a plain text below its key":         "a:\n  b\n  \"c\nvolumePluginDir: /a\n",
	"a literal below its key":            "a:\n  |\n \"c\nvolumePluginDir: /a\n",
	"a map below a text":                 "a: b\nc: 'd'\n  e: f\nvolumePluginDir: /a\n",
	"a list below a text":                "a: 'b'\n- c\nvolumePluginDir: /a\n",
	"an anchor elsewhere":                "a: &b\n  c: d\nvolumePluginDir: /a\n",
	"a literal that ends too early":      "a: |\n    b\n  c\nvolumePluginDir: /a\n",
	"a literal with an odd header":       "a: |x\n  b\nvolumePluginDir: /a\n",
}

func TestPlainFilesAreUnderstood(t *testing.T) {
	for name, test := range plainFiles {
		if got := outcome(test.content); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestWhatIsNotClearIsNotGuessed(t *testing.T) {
	for name, content := range unclearFiles {
		if got := outcome(content); got != unsure {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestFilesAsToolsWriteThemAreUnderstood(t *testing.T) {
	for file, want := range map[string]string{
		"testdata/kubeadm.yaml": unset,
		"testdata/eks.json":     unset,
		"testdata/by-hand.yaml": "/var/lib/kubelet/volumeplugins/",
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome(string(data)); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

// FuzzFind rewrites files in ways that cannot change their meaning. What is not clear may become
// clear, and the other way round, but two clear answers are the same.
func FuzzFind(f *testing.F) {
	for _, test := range plainFiles {
		f.Add(test.content)
	}
	for _, content := range unclearFiles {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content string) {
		got := outcome(content)
		if got == unsure {
			return
		}
		if got != "" && got != unset && !strings.HasPrefix(strings.TrimSpace(content), "{") && !strings.Contains(content, got) {
			t.Errorf("%q is not in the file", got)
		}
		for _, same := range []string{
			"\n" + content,
			content + "\n",
			strings.ReplaceAll(strings.ReplaceAll(content, "\r\n", "\n"), "\n", "\r\n"),
			"# comment\n" + content,
			content + "\n# comment\n",
			content + "\nzzz: 1\n",
		} {
			if other := outcome(same); other != got && other != unsure {
				t.Errorf("%q gives %q, but %q gives %q", content, got, same, other)
			}
		}
	})
}
