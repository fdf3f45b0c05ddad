package nodeproc

import "strings"

// flags gives the values of some long flags, the last one of each, spelt as Kubernetes spells them:
// with "=" or as the next argument, and with "_" where others have "-". A single dash is none.
func flags(args []string, names ...string) map[string]string {
	values := map[string]string{}
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		spelt, isLong := strings.CutPrefix(args[i], "--")
		if !isLong {
			continue
		}
		spelt, value, hasValue := strings.Cut(spelt, "=")
		for _, name := range names {
			if strings.ReplaceAll(spelt, "_", "-") != name {
				continue
			}
			if !hasValue && i+1 < len(args) {
				i++
				value = args[i]
			}
			values[name] = value
		}
	}
	return values
}

func managerSetting(args []string) Setting {
	const name = "flex-volume-plugin-dir"
	if dir, told := flags(args, name)[name]; told {
		return setting(dir, "--"+name)
	}
	return byDefault()
}

func byDefault() Setting { return Setting{DefaultPluginDir, "the default"} }
