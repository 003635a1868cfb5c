package main

import (
	"fmt"
	"math/rand"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/Masterminds/sprig/v3"
)

// Draws inputs.
type maker struct {
	random *rand.Rand
	names  []string
}

var (
	anything = reflect.TypeOf((*any)(nil)).Elem()
	text     = reflect.TypeOf("")
	number   = reflect.TypeOf(0)
	boolean  = reflect.TypeOf(true)
	items    = reflect.TypeOf([]any{})
	table    = reflect.TypeOf(map[string]any{})
)

// Functions whose answers are other ones each time, or take seconds.
var unasked = words(`ago durationRound bcrypt buildCustomCert derivePassword encryptAES env expandenv genCA
	genCAWithKey genPrivateKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert
	genSignedCertWithKey htpasswd keys now randAlpha randAlphaNum randAscii randBytes randInt
	randNumeric shuffle uuidv4 values`)

// Functions that make as much as a number tells: it stays small.
var sized = words(`indent nindent repeat seq until untilStep wrap wrapWith abbrev abbrevboth trunc
	substr slice mustSlice chunk mustChunk printf call`)

// Functions whose last argument is an instant: any other one stands for the present.
var timed = words(`date date_in_zone dateInZone htmlDate htmlDateInZone dateModify date_modify
	mustDateModify must_date_modify`)

// Functions that can put a map into itself, in which Go's library gets lost.
var knotting = words(`set merge mustMerge mergeOverwrite mustMergeOverwrite`)

// What text/template and Helm add to Sprig.
var more = map[string]any{
	"and": func(any, ...any) any { return nil }, "or": func(any, ...any) any { return nil },
	"not": func(any) bool { return false }, "len": func(any) int { return 0 },
	"index": func(any, ...any) any { return nil }, "slice": func(any, ...any) any { return nil },
	"call": func(any, ...any) any { return nil }, "html": fmt.Sprint, "js": fmt.Sprint,
	"urlquery": fmt.Sprint, "print": fmt.Sprint, "println": fmt.Sprintln, "printf": fmt.Sprintf,
	"eq": func(any, ...any) bool { return false }, "ne": func(a, b any) bool { return false },
	"lt": func(a, b any) bool { return false }, "le": func(a, b any) bool { return false },
	"gt": func(a, b any) bool { return false }, "ge": func(a, b any) bool { return false },
	"toToml": func(any) string { return "" }, "mustToToml": func(any) string { return "" },
	"fromToml": func(string) map[string]any { return nil },
	"toYaml":   func(any) string { return "" }, "mustToYaml": func(any) string { return "" },
	"toYamlPretty":  func(any) string { return "" },
	"fromYaml":      func(string) map[string]any { return nil },
	"fromYamlArray": func(string) []any { return nil },
	"toJson":        func(any) string { return "" }, "mustToJson": func(any) string { return "" },
	"fromJson":      func(string) map[string]any { return nil },
	"fromJsonArray": func(string) []any { return nil },
	"required":      func(string, any) any { return nil }, "fail": func(string) string { return "" },
	"lookup": func(a, b, c, d string) map[string]any { return nil },
}

// Every function with its type.
var functions = known()

func known() map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for _, list := range []map[string]any{sprig.TxtFuncMap(), more} {
		for name, function := range list {
			all[name] = reflect.TypeOf(function)
		}
	}
	for name := range unasked {
		delete(all, name)
	}
	return all
}

func words(text string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}

// True once in so many times.
func (m *maker) one(in int) bool {
	return m.random.Intn(in) == 0
}

func (m *maker) pick(list []string) string {
	return list[m.random.Intn(len(list))]
}

// A template's body.
func (m *maker) input() string {
	body := m.body(2)
	if m.one(12) {
		body = m.damaged(body)
	}
	return body
}

func (m *maker) body(depth int) string {
	call := m.call(2)
	switch m.random.Intn(24) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		return "{{ " + call + " }}"
	case 8, 9, 10:
		return `{{ printf "%T %v" (` + call + ") (" + call + ") }}"
	case 11, 12, 13:
		return "{{ " + call + " | " + m.pick(writers) + " }}"
	case 14, 15:
		return "{{ " + m.value(anything, 1) + " | " + m.filter() + " }}"
	case 16:
		return "{{ " + call + " | " + m.filter() + " " + m.value(anything, 0) + " }}"
	}
	if depth == 0 {
		return m.pick(plain)
	}
	return m.block(call, m.body(depth-1), m.body(depth-1))
}

// An action that holds others.
func (m *maker) block(call, inner, other string) string {
	value := m.value(anything, 1)
	open, shut := m.pick(opens), m.pick(closes)
	switch m.random.Intn(16) {
	case 0:
		return open + "if " + value + shut + inner + "{{ else if " + call + " }}b{{ else }}" + other + "{{ end }}"
	case 1:
		return "{{- range $k, $v := " + m.ranged() + " }}[{{ $k }}={{ $v }}]" + inner + "{{- else }}" + other + "{{ end -}}"
	case 2:
		return open + "with " + value + shut + "{{ . }}" + inner + "{{ else }}" + other + "{{ end }}"
	case 3:
		return "{{ $x := " + value + " }}{{ $x }}{{ $x = " + call + " }}{{ $x | " + m.pick(writers) + " }}"
	case 4:
		return "{{ range " + m.ranged() + " }}{{ . }}{{ if " + call + " }}{{ " + m.pick(jumps) + " }}{{ end }},{{ end }}" + other
	case 5:
		return "{{ (" + value + ")." + m.pick(fields) + " }}"
	case 6:
		return "{{ tpl `" + strings.ReplaceAll(inner, "`", "'") + "` " + m.pick([]string{".", "$", "(dict)", value}) + " }}"
	case 7:
		return "{{ $a := dict " + m.pick(keyed) + " }}{{ $b := set $a " + m.pick(texts) + " (" + call + ") }}{{ $a | " + m.pick(writers) + " }}"
	case 8:
		return open + "with $y := " + value + shut + inner + "{{ $y }}{{ else with " + m.value(anything, 0) + " }}{{ . }}{{ else }}" + other + "{{ end }}{{ $y }}"
	case 9:
		return "{{ range $i := " + m.pick(small) + " }}{{ $i }}{{ if eq $i 1 }}{{ " + m.pick(jumps) + " }}{{ end }}" + inner + "{{ end }}{{ $i }}"
	case 10:
		return "{{ $x := 1 }}{{ range " + m.ranged() + " }}{{ $x = add $x 1 }}{{ $x := . }}{{ $x }}{{ end }}{{ $x }}" + other
	case 11:
		return m.pick(comments) + inner + m.pick(comments) + " " + other
	case 12:
		return "{{ block \"y\" " + value + " }}" + inner + "{{ . }}{{ end }}{{ include \"y\" " + m.value(anything, 0) + " }}"
	case 13:
		return "{{ include " + m.pick(named) + " " + value + " | " + m.filter() + " }}" + inner
	case 14:
		return "{{ " + call + " | " + m.filter() + " | " + m.filter() + " | " + m.pick(writers) + " }}"
	default:
		return `{{ define "x" }}` + inner + `{{ end }}{{ template "x" ` + value + " }}" + other
	}
}

func (m *maker) name() string {
	if m.names == nil {
		for name := range functions {
			m.names = append(m.names, name)
		}
		sort.Strings(m.names)
	}
	return m.pick(m.names)
}

// A function that may be given anything.
func (m *maker) filter() string {
	for {
		if name := m.name(); !timed[name] && !sized[name] && !knotting[name] {
			return name
		}
	}
}

// A function and its arguments, most often as many as it takes and of its types.
func (m *maker) call(depth int) string {
	name := m.name()
	takes := functions[name]
	count := takes.NumIn()
	if takes.IsVariadic() {
		count += m.random.Intn(4) - 1
	}
	if m.one(25) {
		count += m.random.Intn(3) - 1
	}
	if sized[name] {
		depth = 0
	}
	out := []string{name}
	for at := range count {
		of := kind(takes, at)
		switch {
		case timed[name] && at == count-1:
			out = append(out, m.pick(instants))
		case sized[name] && of == number:
			out = append(out, m.pick(small))
		case sized[name] && of == anything && m.one(2):
			out = append(out, m.pick(small))
		case knotting[name]:
			out = append(out, m.pick([][]string{fresh, fresh, fresh, small, texts}[m.random.Intn(5)]))
		case name == "printf" && at == 0:
			out = append(out, m.pick(verbs))
		default:
			out = append(out, m.value(of, depth-1))
		}
	}
	return strings.Join(out, " ")
}

func kind(function reflect.Type, at int) reflect.Type {
	last := function.NumIn() - 1
	switch {
	case function.IsVariadic() && at >= last:
		return function.In(last).Elem()
	case at > last:
		return anything
	}
	return function.In(at)
}

// An argument of a type, or sometimes of none that was asked for.
func (m *maker) value(of reflect.Type, depth int) string {
	if depth > 0 && m.one(3) {
		return "(" + m.call(depth) + ")"
	}
	if m.one(8) {
		of = anything
	}
	switch of {
	case text:
		return m.text()
	case boolean:
		return m.pick([]string{"true", "false"})
	case items:
		return m.pick(lists)
	case table:
		return m.pick(tables)
	}
	switch of.Kind() {
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint32:
		return m.pick([][]string{small, integers}[m.random.Intn(2)])
	case reflect.Float64:
		return m.pick([][]string{floats, integers}[m.random.Intn(2)])
	}
	if m.one(10) {
		return m.text()
	}
	all := [][]string{small, integers, floats, lists, tables, others, others, fieldsOf, instants}
	return m.pick(all[m.random.Intn(len(all))])
}

// What is ranged over: no number that takes hours.
func (m *maker) ranged() string {
	all := [][]string{small, floats, lists, tables, others, fieldsOf, texts}
	return m.pick(all[m.random.Intn(len(all))])
}

// A text of the list, or one put together.
func (m *maker) text() string {
	if !m.one(3) {
		return m.pick(texts)
	}
	var out strings.Builder
	for range 1 + m.random.Intn(5) {
		out.WriteString(m.pick(pieces))
	}
	return strconv.Quote(out.String())
}

// The body with a mistake.
func (m *maker) damaged(body string) string {
	runes := []rune(body)
	at := m.random.Intn(len(runes))
	switch m.random.Intn(4) {
	case 0:
		return string(runes[:at]) + string(runes[at+1:])
	case 1:
		return string(runes[:at]) + m.pick(marks) + string(runes[at:])
	case 2:
		other := m.random.Intn(len(runes))
		runes[at], runes[other] = runes[other], runes[at]
		return string(runes)
	default:
		return string(runes[:at])
	}
}

var (
	writers = []string{"toJson", "toYaml", "toYamlPretty", "toToml", "toString", "quote", "printf \"%v\"",
		"printf \"%#v\"", "printf \"%+v\"", "toRawJson", "toPrettyJson", "kindOf", "typeOf", "squote", "len"}
	plain = []string{"text", "{{ . | kindOf }}", "{{ .Values.s }}", "{{- /* c */ -}}", "{{ $ | kindOf }}",
		"{{ .Chart.Name }}", " {{- 1 -}} ", "{{ \"a\" }}", "{{ `b` }}", "{{ .Missing }}", "{{ .Values.a.b.c }}"}
	fields   = []string{"a", "b.c", "Name", "missing", "Major", "c.d", "String", "Year", "host", "Values.s"}
	opens    = []string{"{{ ", "{{- ", "{{", "a {{- ", "\n{{-\n"}
	closes   = []string{" }}", " -}}", "}}", " -}} b", "\n-}}\n "}
	jumps    = []string{"break", "continue", "break ", "continue -", "break 1", "continue | print"}
	comments = []string{"{{/* c */}}", "{{- /* c */ -}}", "{{ /* c */ }}", "{{/* {{ a }} */}}", "{{- /*\n*/}} ", "{{/* c */", "{{/**/}}"}
	named    = []string{`"hello"`, `"lines"`, `"fails"`, `"loop"`, `"none"`, `"x"`, `(print "hel" "lo")`, "1"}
	marks    = []string{" ", "(", ")", "{{", "}}", "|", "$", ".", ",", "\"", "`", "'", "-", " - ", "{{-", "-}}",
		":=", "=", "\n", "0x", "1", "é", "\t", "\\", "/*", "*/", "{{ end }}", "{{ else }}", "nil", "!", "%"}
	keyed    = []string{`"a" 1`, `"b" "x" "a" 2.5`, `"k"`, `1 2`, `nil true`, `"l" (list 1 2)`, ``}
	small    = []string{"0", "1", "2", "3", "-1", "5", "7", "10", "-3", "12"}
	integers = []string{"100", "-100", "0x1f", "0b101", "0o17", "1_000", "'a'", "'☃'", "255", "65536", "2147483648",
		"9223372036854775807", "-9223372036854775808", "(int64 3)", "(int 2)", "(len \"abc\")", "1234567890123"}
	floats = []string{"0.0", "1.5", "-2.5", "3.0", "1e3", "1e21", "0.1", "1e-7", "2.675", "-0.0", "1e100", "123456789.125",
		"(float64 4)", "(mulf 1.5 2)", "0x1p-2", "3.4e38", "1e20", "0.000001"}
	lists = []string{"list", "(list)", "(list 1 2 3)", "(list \"a\" \"b\" \"c\")", "(list 1 \"a\" nil 2.5 true)",
		"(list (list 1 2) (list 3))", "(list (dict \"a\" 1) (dict \"b\" 2))", "(until 3)", "(splitList \",\" \"a,,b\")",
		".Values.l", ".Values.words", ".Values.numbers", ".Values.nested", ".Values.nothing", "(list nil)",
		"(list \"\" 0 false nil \"x\")", "(list 1 1 2 1)", "(list \"b\" \"a\" \"b\")", "(list 1.5 1 \"1\")", "(tuple 1 \"x\")",
		"(list (list))", "(list 3 2 1)", "(fromJsonArray \"[1,2,{\\\"a\\\":null}]\")", "(fromYamlArray \"[a, 1, 1.5, ~]\")"}
	fresh = []string{"(dict)", "(dict \"a\" 1)", "(dict \"b\" \"x\" \"a\" (dict \"c\" 1))", "(dict \"a\" nil \"d\" false)",
		"(dict \"a\" (list 1 2) \"b\" \"\")", "(dict \"a\" (dict \"c\" 2 \"d\" (list)))", "(fromYaml \"a: {c: [x], e: ~}\\nb: 0\")",
		"(dict \"b\" (dict) \"a\" 2.5)", "(dict \"b\" nil \"a\" (dict))", "(deepCopy .Values)", "(deepCopy .Values.deep)"}
	tables = []string{"dict", "(dict)", "(dict \"a\" 1)", "(dict \"b\" \"x\" \"a\" (dict \"c\" 1))", ".Values", ".Values.m",
		".Values.deep", ".Values.none", "(dict \"a\" nil)", "(dict \"a\" (list 1 (dict \"b\" 2)))", "(dict \"a\" \"b\" \"c\" true)",
		"(fromYaml \"a: {b: [1, 2.5, x]}\\nc: ~\")", "(fromJson \"{\\\"a\\\":1,\\\"b\\\":1e3}\")", "(dict 1 2)", "(dict \"x\" \"\" \"y\" 0)",
		"(fromToml \"a = 1\\n[b]\\nc = [1.5, 2.5]\\nd = 2024-02-03\")", "(split \",\" \"a,b\")", "(dict \"a-b\" 1 \"A\" 2)", "$.Values"}
	others = []string{"nil", "true", "false", ".", "$", ".Values.missing", ".Chart", ".Release", ".Files", ".Capabilities",
		".Capabilities.KubeVersion", ".Capabilities.APIVersions", ".Template", "(semver \"1.2.3-rc.1+b\")",
		"(urlParse \"http://u:p@h:80/p?q=1#f\")", "(b64dec \"/w==\")", ".Values.nil", ".Chart.Maintainers", "(.Files.Get \"files/a.txt\")",
		"(.Files.Glob \"files/*\")", "(.Files.Lines \"files/a.txt\")", "(include \"hello\" 1)", "(duration 3661)", ".Release.Revision",
		"(sha256sum \"\")", "(print 1 2)", "(coalesce nil)", "(ternary 1 nil true)", "(first (list))", "(regexSplit \",\" \"a,b\" -1)"}
	fieldsOf = []string{".Values.s", ".Values.empty", ".Values.n", ".Values.f", ".Values.big", ".Values.tiny", ".Values.t",
		".Values.no", ".Values.multi", ".Values.unicode", ".Values.m.a", ".Values.m.c", ".Values.deep.a.b", ".Values.x.y"}
	instants = []string{"(toDate \"2006-01-02\" \"2024-02-29\")", "(toDate \"2006-01-02T15:04:05Z07:00\" \"2023-12-31T23:59:59+02:00\")",
		"(toDate \"15:04\" \"07:08\")", "(toDate \"2006\" \"bad\")", "(toDate \"2006-01-02 15:04:05 MST\" \"1999-07-01 01:02:03 CEST\")",
		"(unixEpoch (toDate \"2006-01-02\" \"2001-02-03\") | int64)", "1700000000", "(int64 86399)"}
	verbs = []string{`"%d %s"`, `"%v"`, `"%5.2f|%-6s|"`, `"%q %x"`, `"%t%c"`, `"%[2]*.[1]*f"`, `"%08b"`, `"%+d % d"`, `"%e %G"`, `"%U %#U"`,
		`"%#x %X"`, `"%T"`, `"%%"`, `"%!"`, `"%"`, `"%z"`, `"%-10v|"`, `"%.3q"`, `"%06d"`, `"%x % x"`, `"%o %O"`, `"%#v"`, `"%+v"`, `"%[3]d"`,
		`"%*d"`, `"%+q"`, `"%#q"`, `"%6.3v|"`, `"%s %s %s"`, `"%.2s"`, `"%010.3f"`, `"%+.2e"`, `"%-08d|"`, `"%c%c"`}
	pieces = []string{"a", "b", "Z", "word", "Hello", "é", "日", "😀", "ß", "İ", "ǅ", " ", "  ", "\t", "\n", "-", "_", ".", ",", ":", "/", "\\", "\"", "'",
		"{", "}", "[", "]", "(", ")", "%", "$", "$1", "#", "&", "<", ">", "=", "+", "*", "?", "!", "@", "|", "~", "^", "0", "1", "9", "12", "3.5", "1e3",
		"true", "null", "\x00", "\x7f", "\u00a0", "\u2028", "\r", ": ", "- ", "  a", "\\d", "\\n", "a+", "[a-z]", "x{2}", "Z07:00", "2006", "Mon", "PM"}
	texts = []string{`""`, `"a"`, `"Hello World"`, `"héllo"`, `"日本語"`, `"12"`, `"-3.5"`, `"1e3"`, `"0x1f"`, `"true"`, `"null"`, `"~"`, `"a,b,c"`, `" pad "`,
		`"a\nb\n"`, `"snake_case_word"`, `"camelCaseWord"`, `"kebab-case"`, `"HTTPServer2Go"`, `"1.2.3"`, `">=1.2.0-0 <2"`, `"^1 || ~2.3"`, `"v1.2"`, `"1.2.3-rc.1+build"`,
		`"2024-02-30"`, `"2006-01-02"`, `"2006-01-02T15:04:05Z"`, `"1h30m"`, `"-1.5s"`, `"UTC"`, `"Europe/Paris"`, `"a: 1\nb: [x]"`, `"{\"a\":[1,2.5,null]}"`, `"[1,\"b\"]"`,
		`"x = 1"`, `"http://u:p@h:80/p?q=1#f"`, `"%d"`, `"[a-z]+"`, `"(a)(b)?"`, `"("`, `"$1-${2}"`, `"\\d+"`, `"YQ=="`, `"a/b/../c.txt"`, `"/"`, `"."`, `"10.0.0.1"`, `"08"`, `"0"`,
		`"yes"`, `"<a href='x'>&"`, `"a b  c"`, `"abcabc"`, "`raw\\n`", `"ORSXG5A="`, `"a=b"`, `"é"`, `"A"`, `"b"`, `"c"`, `"x"`, `"ß"`, `"1_000"`, `"+5"`, `"9223372036854775808"`}
)
