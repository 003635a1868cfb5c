// Generated templates and what Helm's own engine makes of them, as stored vectors are written.
//
// `cargo xtask helm calls` builds this beside the judges: the engine called as a library answers
// a thousand inputs in the time its command answers four, so calls nobody would think of can be
// asked. Arguments are drawn by the types Go's reflection tells of each function.
//
// Usage: oracle FOLDER SEED COUNT, where FOLDER holds what every input sees.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// Renderings that must agree: what a map's order decides is no answer.
const repeats = 4

// Where something lies in memory.
var address = regexp.MustCompile(`0x[0-9a-f]{9,}`)

// What an input may take: the maker should not have made one that takes longer.
const patience = 20 * time.Second

type answer struct {
	Output *string `json:"output,omitempty"`
	Error  *string `json:"error,omitempty"`
}

type vector struct {
	Input    string `json:"input"`
	Expected answer `json:"expected"`
}

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("usage: oracle FOLDER SEED COUNT"))
	}
	seed, err := strconv.ParseInt(os.Args[2], 10, 64)
	fail(err)
	count, err := strconv.Atoi(os.Args[3])
	fail(err)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	c, err := load(os.Args[1])
	fail(err)
	writer := bufio.NewWriter(os.Stdout)
	fmt.Fprint(writer, "{\"vectors\": [\n")
	write(writer, c, &maker{random: rand.New(rand.NewSource(seed))}, count)
	fmt.Fprint(writer, "]}\n")
	fail(writer.Flush())
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Every file below a folder, as a chart.
func load(folder string) (*chart.Chart, error) {
	var files []*archive.BufferedFile
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		files = append(files, &archive.BufferedFile{Name: name, Data: data})
		return err
	})
	if err != nil {
		return nil, err
	}
	return loader.LoadFiles(files)
}

func write(writer *bufio.Writer, c *chart.Chart, m *maker, count int) {
	encoder := json.NewEncoder(writer)
	encoder.SetEscapeHTML(false)
	seen := map[string]bool{}
	first := true
	for range count {
		input := m.input()
		if seen[input] {
			continue
		}
		seen[input] = true
		late := time.AfterFunc(patience, func() { fail(fmt.Errorf("takes too long: %s", input)) })
		expected, ok := settled(c, input)
		late.Stop()
		if !ok {
			continue
		}
		if !first {
			fmt.Fprint(writer, ",")
		}
		first = false
		fail(encoder.Encode(vector{input, expected}))
	}
}

// What is answered each time, without addresses of this process.
func settled(c *chart.Chart, input string) (answer, bool) {
	first, ok := ask(c, input)
	text := first.text()
	if !ok || address.MatchString(text) {
		return first, false
	}
	for range repeats - 1 {
		if again, _ := ask(c, input); again.text() != text {
			return first, false
		}
	}
	return first, true
}

func (a answer) text() string {
	if a.Output != nil {
		return "+" + *a.Output
	}
	if a.Error != nil {
		return "-" + *a.Error
	}
	return ""
}

// The output as a named template, or the error of the input as a manifest of its own: the two ways
// the replay of stored vectors asks.
func ask(c *chart.Chart, input string) (answer, bool) {
	const all = "templates/all.yaml"
	included := map[string]string{
		"templates/v/_0.tpl": input,
		all:                  `{{ include "vectors/templates/v/_0.tpl" . | b64enc }}`,
	}
	if rendered, err := render(c, included); err == nil {
		bytes, err := base64.StdEncoding.DecodeString(rendered["vectors/"+all])
		fail(err)
		text := escaped(string(bytes))
		return answer{Output: &text}, true
	}
	_, err := render(c, map[string]string{"templates/a.yaml": "a: " + input + "\n"})
	if err == nil {
		return answer{}, false
	}
	text := fmt.Sprintf("Error: %v\n\nUse --debug flag to render out invalid YAML\n", err)
	return answer{Error: &text}, utf8.ValidString(text)
}

func render(c *chart.Chart, templates map[string]string) (map[string]string, error) {
	asked := *c
	asked.Templates = append([]*common.File{}, c.Templates...)
	for name, text := range templates {
		asked.Templates = append(asked.Templates, &common.File{Name: name, Data: []byte(text)})
	}
	release := common.ReleaseOptions{Name: "rel", Namespace: "default", Revision: 1, IsInstall: true}
	values, err := util.ToRenderValues(&asked, map[string]any{}, release, nil)
	if err != nil {
		return nil, err
	}
	return engine.Render(&asked, values)
}

// A text; bytes that are no UTF-8 are written \xNN, as Rust's `escape_ascii` writes them.
func escaped(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for _, b := range []byte(text) {
		switch {
		case b == '\t':
			out.WriteString(`\t`)
		case b == '\r':
			out.WriteString(`\r`)
		case b == '\n':
			out.WriteString(`\n`)
		case b == '\'' || b == '"' || b == '\\':
			out.WriteByte('\\')
			out.WriteByte(b)
		case b < 0x20 || b >= 0x7f:
			fmt.Fprintf(&out, `\x%02x`, b)
		default:
			out.WriteByte(b)
		}
	}
	return out.String()
}
