// Prints what the test files in the folders named hold as JSON, one record a line: every table a
// variable is given, and every call a test makes, its arguments worked out as far as constants, tables and
// loops over tables go. Nothing of the package is compiled or run; what would need that is printed
// as its source, {"go": "…"}.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// source is an expression that could not be worked out.
type source struct {
	text string
}

// object is a struct: its type as written, and its fields.
type object struct {
	kind   string
	names  []string
	fields map[string]any
}

// pairs is a map in the order it is written.
type pairs struct {
	keys   []any
	values []any
}

// call is a function with arguments that are worked out where they can be.
type call struct {
	name      string
	arguments []any
}

// scope holds the variables of a function, and the declarations of its package.
type scope struct {
	files     *token.FileSet
	function  string
	variables map[string]any
	globals   map[string]ast.Expr
	types     map[string]ast.Expr
	output    *json.Encoder
	depth     int
}

func main() {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for _, folder := range os.Args[1:] {
		paths, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		exit(err)
		files := token.NewFileSet()
		parsed := []*ast.File{}
		for _, path := range paths {
			file, err := parser.ParseFile(files, path, nil, 0)
			exit(err)
			parsed = append(parsed, file)
		}
		walkPackage(files, parsed, encoder)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func walkPackage(files *token.FileSet, parsed []*ast.File, encoder *json.Encoder) {
	global := &scope{files: files, globals: map[string]ast.Expr{}, types: map[string]ast.Expr{}, output: encoder}
	for _, file := range parsed {
		for _, declaration := range file.Decls {
			if general, ok := declaration.(*ast.GenDecl); ok {
				global.declare(general)
			}
		}
	}
	for _, file := range parsed {
		for _, declaration := range file.Decls {
			inner := *global
			inner.variables = map[string]any{}
			switch declaration := declaration.(type) {
			case *ast.GenDecl:
				inner.walk(declaration)
			case *ast.FuncDecl:
				inner.function = declaration.Name.Name
				if declaration.Body != nil {
					inner.walk(declaration.Body)
				}
			}
		}
	}
}

func (s *scope) declare(general *ast.GenDecl) {
	for _, spec := range general.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			for index, name := range spec.Names {
				if index < len(spec.Values) {
					s.globals[name.Name] = spec.Values[index]
				}
			}
		case *ast.TypeSpec:
			s.types[spec.Name.Name] = spec.Type
		}
	}
}

// walk goes through statements in the order they are written; both branches of a condition are
// taken, and a loop over a table is run once for each of its rows.
func (s *scope) walk(node ast.Node) {
	ast.Inspect(node, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.RangeStmt:
			s.loop(node)
			return false
		case *ast.ValueSpec:
			for index, name := range node.Names {
				if index < len(node.Values) {
					s.assign(name.Name, node.Values[index])
				}
			}
		case *ast.AssignStmt:
			for index, left := range node.Lhs {
				name, ok := left.(*ast.Ident)
				if ok && (len(node.Rhs) == len(node.Lhs) || index == 0) {
					s.assign(name.Name, node.Rhs[index])
				}
			}
		case *ast.TypeSpec:
			if s.variables != nil {
				s.types[node.Name.Name] = node.Type
			}
		case *ast.CallExpr:
			s.printCall(node)
		}
		return true
	})
}

func (s *scope) assign(name string, expression ast.Expr) {
	value := s.value(expression, nil)
	s.variables[name] = value
	if rows := elements(value); rows != nil {
		line := s.files.Position(expression.Pos()).Line
		s.print(map[string]any{"table": name, "in": s.function, "line": line, "rows": encode(value)})
	}
}

func (s *scope) loop(node *ast.RangeStmt) {
	value := s.value(node.X, nil)
	s.walk(node.X)
	if name, ok := node.X.(*ast.CompositeLit); ok {
		line := s.files.Position(name.Pos()).Line
		s.print(map[string]any{"table": "", "in": s.function, "line": line, "rows": encode(value)})
	}
	bind := func(expression ast.Expr, value any) {
		if name, ok := expression.(*ast.Ident); ok {
			s.variables[name.Name] = value
		}
	}
	switch value := value.(type) {
	case []any:
		for index, element := range value {
			bind(node.Key, int64(index))
			bind(node.Value, element)
			s.walk(node.Body)
		}
	case *pairs:
		for index, key := range value.keys {
			bind(node.Key, key)
			bind(node.Value, value.values[index])
			s.walk(node.Body)
		}
	default:
		s.walk(node.Body)
	}
}

func (s *scope) printCall(node *ast.CallExpr) {
	if s.function == "" {
		return
	}
	arguments := []any{}
	for _, argument := range node.Args {
		if _, ok := argument.(*ast.FuncLit); ok {
			return
		}
		arguments = append(arguments, encode(s.value(argument, nil)))
	}
	line := s.files.Position(node.Pos()).Line
	s.print(map[string]any{"call": s.text(node.Fun), "in": s.function, "line": line, "arguments": arguments})
}

func (s *scope) print(record any) {
	exit(s.output.Encode(record))
}

func (s *scope) text(node ast.Node) string {
	var out strings.Builder
	_ = printer.Fprint(&out, s.files, node)
	return out.String()
}

// value works an expression out; kind is the type a composite literal without one has.
func (s *scope) value(expression ast.Expr, kind ast.Expr) any {
	if s.depth > 40 {
		return source{s.text(expression)}
	}
	s.depth++
	defer func() { s.depth-- }()
	switch node := expression.(type) {
	case *ast.BasicLit:
		return literal(node)
	case *ast.ParenExpr:
		return s.value(node.X, kind)
	case *ast.Ident:
		return s.named(node)
	case *ast.UnaryExpr:
		return s.unary(node, kind)
	case *ast.BinaryExpr:
		return s.binary(node)
	case *ast.SelectorExpr:
		if of, ok := s.value(node.X, nil).(*object); ok {
			if field, ok := of.fields[node.Sel.Name]; ok {
				return field
			}
		}
	case *ast.CompositeLit:
		return s.composite(node, kind)
	case *ast.CallExpr:
		return s.called(node)
	}
	return source{s.text(expression)}
}

func literal(node *ast.BasicLit) any {
	switch node.Kind {
	case token.STRING:
		if text, err := strconv.Unquote(node.Value); err == nil {
			return text
		}
	case token.CHAR:
		if char, _, _, err := strconv.UnquoteChar(node.Value[1:], '\''); err == nil {
			return int64(char)
		}
	case token.INT:
		if number, err := strconv.ParseInt(node.Value, 0, 64); err == nil {
			return number
		}
		if number, err := strconv.ParseUint(node.Value, 0, 64); err == nil {
			return number
		}
	case token.FLOAT:
		if number, err := strconv.ParseFloat(node.Value, 64); err == nil {
			return number
		}
	}
	return source{node.Value}
}

func (s *scope) named(node *ast.Ident) any {
	switch node.Name {
	case "true":
		return true
	case "false":
		return false
	case "nil":
		return nil
	}
	if value, ok := s.variables[node.Name]; ok {
		return value
	}
	if expression, ok := s.globals[node.Name]; ok {
		return s.value(expression, nil)
	}
	return source{node.Name}
}

func (s *scope) unary(node *ast.UnaryExpr, kind ast.Expr) any {
	value := s.value(node.X, kind)
	if node.Op == token.AND {
		return value
	}
	switch value := value.(type) {
	case int64:
		if node.Op == token.SUB {
			return -value
		}
	case float64:
		if node.Op == token.SUB {
			return -value
		}
	}
	return source{s.text(node)}
}

func (s *scope) binary(node *ast.BinaryExpr) any {
	left, right := s.value(node.X, nil), s.value(node.Y, nil)
	switch left := left.(type) {
	case string:
		if right, ok := right.(string); ok && node.Op == token.ADD {
			return left + right
		}
	case int64:
		right, ok := right.(int64)
		switch {
		case ok && node.Op == token.ADD:
			return left + right
		case ok && node.Op == token.SUB:
			return left - right
		case ok && node.Op == token.QUO && right != 0:
			return left / right
		case ok && node.Op == token.MUL:
			return left * right
		}
	}
	return source{s.text(node)}
}

func (s *scope) composite(node *ast.CompositeLit, kind ast.Expr) any {
	if node.Type != nil {
		kind = node.Type
	}
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	name := ""
	if kind != nil {
		name = s.text(kind)
	}
	if identifier, ok := kind.(*ast.Ident); ok && s.types[identifier.Name] != nil {
		kind = s.types[identifier.Name]
	}
	switch kind := kind.(type) {
	case *ast.ArrayType:
		list := []any{}
		for _, element := range node.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				element = pair.Value
			}
			list = append(list, s.value(element, kind.Elt))
		}
		return list
	case *ast.MapType:
		out := &pairs{}
		for _, element := range node.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				out.keys = append(out.keys, s.value(pair.Key, kind.Key))
				out.values = append(out.values, s.value(pair.Value, kind.Value))
			}
		}
		return out
	case *ast.StructType:
		return s.structure(node, kind, name)
	}
	return s.structure(node, nil, name)
}

func (s *scope) structure(node *ast.CompositeLit, kind *ast.StructType, name string) any {
	out := &object{kind: name, fields: map[string]any{}}
	types := []ast.Expr{}
	if kind != nil {
		for _, field := range kind.Fields.List {
			names := []string{}
			for _, name := range field.Names {
				names = append(names, name.Name)
			}
			if len(names) == 0 {
				names = append(names, s.text(field.Type))
			}
			for _, name := range names {
				out.names = append(out.names, name)
				types = append(types, field.Type)
				out.fields[name] = s.zero(field.Type)
			}
		}
	}
	typeOf := func(name string) ast.Expr {
		for index, other := range out.names {
			if other == name && index < len(types) {
				return types[index]
			}
		}
		return nil
	}
	for index, element := range node.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			key := s.text(pair.Key)
			if kind == nil {
				out.names = append(out.names, key)
			}
			out.fields[key] = s.value(pair.Value, typeOf(key))
		} else if index < len(types) {
			out.fields[out.names[index]] = s.value(element, types[index])
		} else {
			return source{s.text(node)}
		}
	}
	return out
}

// zero is what a field holds that is not named.
func (s *scope) zero(kind ast.Expr) any {
	switch node := kind.(type) {
	case *ast.ArrayType:
		if node.Len == nil {
			return []any{}
		}
	case *ast.MapType:
		return &pairs{}
	case *ast.InterfaceType:
		return nil
	case *ast.Ident:
		switch node.Name {
		case "string":
			return ""
		case "bool":
			return false
		case "any", "error":
			return nil
		case "float32", "float64":
			return 0.0
		case "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64":
			return int64(0)
		}
	}
	return source{"zero " + s.text(kind)}
}

func (s *scope) called(node *ast.CallExpr) any {
	name := s.text(node.Fun)
	arguments := []any{}
	for _, argument := range node.Args {
		arguments = append(arguments, s.value(argument, nil))
	}
	if len(arguments) == 1 {
		if value, ok := converted(name, arguments[0]); ok {
			return value
		}
	}
	switch name {
	case "strings.Repeat":
		text, ok := arguments[0].(string)
		count, isNumber := arguments[1].(int64)
		if ok && isNumber && count < 1<<20 {
			return strings.Repeat(text, int(count))
		}
	case "fmt.Sprintf":
		format, ok := arguments[0].(string)
		if ok && plain(arguments[1:]) {
			return fmt.Sprintf(format, arguments[1:]...)
		}
	}
	return call{name, arguments}
}

// converted is a conversion to a built-in type.
func converted(name string, value any) (any, bool) {
	switch name {
	case "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "uintptr":
		switch value.(type) {
		case int64, uint64:
			return value, true
		}
	case "float32", "float64":
		switch value := value.(type) {
		case float64:
			return value, true
		case int64:
			return float64(value), true
		}
	case "string", "[]byte":
		text, ok := value.(string)
		return text, ok
	}
	return nil, false
}

// plain tells whether values are texts and numbers only.
func plain(values []any) bool {
	for _, value := range values {
		switch value.(type) {
		case string, int64, uint64, float64, bool:
		default:
			return false
		}
	}
	return true
}

func elements(value any) []any {
	switch value := value.(type) {
	case []any:
		return value
	case *pairs:
		return value.keys
	case *object:
		return []any{value}
	case call:
		return []any{value}
	case string:
		return []any{value}
	}
	return nil
}

func encode(value any) any {
	switch value := value.(type) {
	case string:
		if utf8.ValidString(value) {
			return value
		}
		return map[string]any{"bytes": base64.StdEncoding.EncodeToString([]byte(value))}
	case int64, uint64:
		return map[string]any{"int": fmt.Sprint(value)}
	case float64:
		text := strconv.FormatFloat(value, 'g', -1, 64)
		return map[string]any{"float": text}
	case []any:
		list := []any{}
		for _, element := range value {
			list = append(list, encode(element))
		}
		return list
	case *pairs:
		list := []any{}
		for index, key := range value.keys {
			list = append(list, []any{encode(key), encode(value.values[index])})
		}
		return map[string]any{"map": list}
	case *object:
		fields := map[string]any{}
		for name, field := range value.fields {
			fields[name] = encode(field)
		}
		return map[string]any{"struct": value.kind, "names": value.names, "fields": fields}
	case call:
		list := []any{}
		for _, argument := range value.arguments {
			list = append(list, encode(argument))
		}
		return map[string]any{"call": value.name, "arguments": list}
	case source:
		return map[string]any{"go": value.text}
	}
	return value
}
