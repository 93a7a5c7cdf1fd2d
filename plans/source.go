package plans

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a plan's text. They stand against accidents and bombs; a plan of 10,000 customers takes
// about 2 MB.
const (
	maxBytes    = 16 << 20
	maxDepth    = 64        // nested lists and mappings; the parser's stack and time grow with it
	maxKeys     = 5_000     // keys of one mapping; the parser's time grows with the square
	maxExpanded = 1_000_000 // nodes that aliases may add to those that are written
)

// source is a parsed plan: the tree in which problems find their lines.
type source struct {
	file    string
	root    ast.Node
	aliases map[*ast.AliasNode]ast.Node
	read    map[ast.Node][]entry // of mappings, as they were read: each problem looks up its place
	csv     *csvPositions        // of customers that stand in a file of their own

	problems Problems
	// places at or below which something could not be decoded, and how many steps below at least:
	// nothing that follows from its absence is reported
	broken map[string]int
}

// readSource parses src. Without a root there are problems, and nothing more to say.
func readSource(file string, src []byte) *source {
	s := &source{file: file, aliases: map[*ast.AliasNode]ast.Node{}, read: map[ast.Node][]entry{}}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n")) // the lexer counts a line of a comment or a block twice that ends in both
	if len(src) > maxBytes {
		s.add(tooLarge(file, int64(len(src))))
		return s
	}
	if at := firstBad(src); at >= 0 {
		line, column := lineColumn(src, at)
		s.add(Problem{Line: line, Column: column, Message: "not a text in UTF-8", Hint: "save it as UTF-8"})
		return s
	}
	tokens := lexer.Tokenize(string(src))
	if p := tooComplex(tokens); p != nil {
		s.add(*p)
		return s
	}
	file1, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		s.add(syntaxProblem(err))
		return s
	}
	s.pickDocument(file1)
	if s.root != nil && !s.resolveAliases() {
		s.root = nil
	}
	return s
}

// firstBad is the offset of the first byte that is no text; -1: none.
func firstBad(src []byte) int {
	if i := bytes.IndexByte(src, 0); i >= 0 {
		return i
	}
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

func lineColumn(src []byte, at int) (line, column int) {
	before := src[:at]
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

func syntaxProblem(err error) Problem {
	p := Problem{Message: "not YAML",
		Want: "YAML 1.2; tabs do not indent, and texts need quotes that have a colon and a space in them, or begin with { [ * & ! % @ or `"}
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) { // its Error would quote the lines around it, and with them perhaps a secret
		p.Message = "not YAML: " + escaped(syntax.Message)
		if credentialsIn.MatchString(syntax.Message) {
			p.Message = "not YAML"
		}
		if syntax.Token != nil && syntax.Token.Position != nil {
			p.Line, p.Column = syntax.Token.Position.Line, syntax.Token.Position.Column
		}
	}
	return p
}

// escaped shows the control characters of a text, which a terminal would obey.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// tooComplex keeps from the parser what it would choke on.
func tooComplex(tokens token.Tokens) *Problem {
	type level struct{ column, keys int }
	levels := []level{{}} // block levels by column, flow levels with column -1 above them
	flow, run, line := 0, 0, 0
	for _, tk := range tokens {
		pos := tk.Position
		switch tk.Type {
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			run++
		case token.SequenceStartType, token.MappingStartType:
			flow++
			levels = append(levels, level{column: -1})
		case token.SequenceEndType, token.MappingEndType:
			if flow > 0 {
				flow--
				levels = levels[:len(levels)-1]
			}
		case token.CommentType:
			continue
		}
		if flow == 0 && pos.Line != line {
			line, run = pos.Line, 0
			for len(levels) > 1 && levels[len(levels)-1].column > pos.Column {
				levels = levels[:len(levels)-1]
			}
			if levels[len(levels)-1].column < pos.Column {
				levels = append(levels, level{column: pos.Column})
			}
		}
		if tk.Type == token.SequenceEntryType && flow == 0 {
			levels[len(levels)-1].keys = 0
		}
		if tk.Type == token.MappingValueType {
			levels[len(levels)-1].keys++
		}
		if top := levels[len(levels)-1]; top.keys > maxKeys {
			return &Problem{Line: pos.Line, Column: pos.Column, Message: fmt.Sprintf("more than %d keys in one mapping", maxKeys)}
		}
		if len(levels)+run > maxDepth {
			return &Problem{Line: pos.Line, Column: pos.Column, Message: fmt.Sprintf("nested more than %d deep", maxDepth)}
		}
	}
	return nil
}

// pickDocument wants exactly one document with something in it.
func (s *source) pickDocument(f *ast.File) {
	for _, d := range f.Docs {
		if d.Body == nil || d.Body.Type() == ast.NullType || d.Body.Type() == ast.DirectiveType {
			continue
		}
		if s.root != nil {
			line, column := position(d.Body, nil)
			s.add(Problem{Line: line, Column: column, Message: "a second document in the file", Want: "one plan a file",
				Hint: "remove the line --- or split the file"})
			continue
		}
		s.root = d.Body
	}
	if s.root == nil {
		s.add(Problem{Message: "the file is empty", Want: "a plan", Hint: "start from plans/examples/minimal.yaml"})
	}
}

// resolveAliases finds the anchor of each alias, and refuses loops and bombs before anything is
// expanded.
func (s *source) resolveAliases() bool {
	r := resolver{source: s, anchors: map[string]*ast.AnchorNode{}, sizes: map[*ast.AnchorNode]int{}}
	r.size(s.root)
	return !r.failed
}

type resolver struct {
	*source
	anchors map[string]*ast.AnchorNode // the latest of each name
	sizes   map[*ast.AnchorNode]int    // in nodes, expanded; -1: being counted
	added   int                        // nodes by which aliases expand the plan
	failed  bool
}

// size counts the nodes of n with its aliases expanded.
func (r *resolver) size(n ast.Node) int {
	total := 1
	switch v := n.(type) {
	case *ast.MappingNode:
		for _, e := range v.Values {
			total += r.size(e)
		}
	case *ast.MappingValueNode:
		total += r.size(v.Value)
		if _, ok := v.Key.(*ast.MergeKeyNode); ok {
			r.checkMerge(v.Value)
		}
	case *ast.SequenceNode:
		for _, e := range v.Values {
			total += r.size(e)
		}
	case *ast.TagNode:
		total += r.size(v.Value)
	case *ast.AnchorNode:
		r.anchors[nameOf(v.Name)] = v
		r.sizes[v] = -1
		total = r.size(v.Value)
		r.sizes[v] = total
	case *ast.AliasNode:
		total = r.alias(v)
	}
	return min(total, maxExpanded+1)
}

func (r *resolver) alias(v *ast.AliasNode) int {
	pos := v.GetToken().Position
	a, ok := r.anchors[nameOf(v.Value)]
	problem := Problem{Line: pos.Line, Column: pos.Column}
	switch {
	case !ok:
		problem.Message = fmt.Sprintf("alias *%s has no anchor before it", nameOf(v.Value))
		problem.Hint = fmt.Sprintf("if a text is meant that begins with *, put it in quotes: \"*%s\"", nameOf(v.Value))
	case r.failed:
		return 1
	case r.sizes[a] < 0:
		problem.Message = fmt.Sprintf("alias *%s contains itself", nameOf(v.Value))
	default:
		r.aliases[v] = a.Value
		if r.added += r.sizes[a]; r.added <= maxExpanded {
			return r.sizes[a]
		}
		problem.Message = fmt.Sprintf("aliases expand the plan by more than %d nodes", maxExpanded)
	}
	r.failed = true
	r.source.add(problem)
	return 1
}

// checkMerge wants a mapping, or a list of mappings, behind <<.
func (r *resolver) checkMerge(n ast.Node) {
	if r.failed {
		return
	}
	items := []ast.Node{r.content(n)}
	if list, ok := items[0].(*ast.SequenceNode); ok {
		items = list.Values
	}
	for _, i := range items {
		if _, ok := r.content(i).(*ast.MappingNode); !ok && pairs(r.content(i)) == nil {
			line, column := position(i, nil)
			r.source.add(Problem{Line: line, Column: column, Message: "only a mapping can be merged with <<",
				Found: typeName(r.content(i))})
			r.failed = true
			return
		}
	}
}

func nameOf(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// content is what stands behind anchors and aliases.
func (s *source) content(n ast.Node) ast.Node {
	for {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			n = s.aliases[v]
		default:
			return n
		}
	}
}

// entry is a key of a mapping with its value.
type entry struct {
	name  string
	key   ast.Node
	value ast.Node
}

// entries are the keys of a mapping, its own and then those merged in (<<), whose names are not its
// own.
func (s *source) entries(n ast.Node) []entry {
	if known, ok := s.read[n]; ok || n == nil {
		return known
	}
	all := s.gather(n)
	s.read[n] = all
	return all
}

func (s *source) gather(n ast.Node) []entry {
	var own, merged []entry
	for _, v := range pairs(n) {
		if _, ok := v.Key.(*ast.MergeKeyNode); ok {
			merged = append(merged, s.mergedEntries(v.Value)...)
			continue
		}
		own = append(own, entry{name: keyText(v.Key), key: v.Key, value: v.Value})
	}
	if len(merged) == 0 {
		return own
	}
	have := map[string]bool{}
	for _, e := range own {
		have[e.name] = true
	}
	for _, e := range merged {
		if !have[e.name] {
			have[e.name] = true
			own = append(own, e)
		}
	}
	return own
}

func (s *source) mergedEntries(n ast.Node) []entry {
	n = s.content(n)
	if list, ok := n.(*ast.SequenceNode); ok {
		var all []entry
		for _, v := range list.Values {
			all = append(all, s.entries(s.content(v))...)
		}
		return all
	}
	return s.entries(n)
}

func pairs(n ast.Node) []*ast.MappingValueNode {
	switch v := n.(type) {
	case *ast.MappingNode:
		return v.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{v}
	}
	return nil
}

func keyText(k ast.Node) string {
	if m, ok := k.(*ast.MappingKeyNode); ok && m.Value != nil {
		k = m.Value
	}
	if a, ok := k.(*ast.AnchorNode); ok {
		k = a.Value
	}
	return strings.TrimSpace(nameOf(k))
}

// position of a node: of its key, if it is a mapping or list written below it.
func position(n, key ast.Node) (line, column int) {
	if key != nil && isBlock(n) {
		n = key
	}
	if v := pairs(n); len(v) > 0 && isBlock(n) {
		n = v[0].Key
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0, 0
	}
	return n.GetToken().Position.Line, n.GetToken().Position.Column
}

func isBlock(n ast.Node) bool {
	switch v := n.(type) {
	case *ast.MappingNode:
		return !v.IsFlowStyle
	case *ast.SequenceNode:
		return !v.IsFlowStyle
	case *ast.AnchorNode:
		return isBlock(v.Value)
	case *ast.MappingValueNode, *ast.LiteralNode:
		return true
	}
	return false
}

// locate finds the file, line and column of a place, or of the nearest place around it that is
// written.
func (s *source) locate(at *node) (file string, line, column int) {
	n, steps := s.root, at.steps()
	line, column = position(n, nil)
	for i, step := range steps {
		if s.csv != nil && i == 1 && steps[0].key == "customers" && step.index >= 0 {
			return s.csv.locate(steps[1:])
		}
		next, key := s.child(s.content(n), step)
		if next == nil {
			break
		}
		n = next
		line, column = position(n, key)
	}
	return s.file, line, column
}

func (s *source) child(n ast.Node, step *node) (value, key ast.Node) {
	if step.index >= 0 {
		if list, ok := n.(*ast.SequenceNode); ok && step.index < len(list.Values) {
			return list.Values[step.index], nil
		}
		return nil, nil
	}
	for _, e := range s.entries(n) {
		if e.name == step.key {
			return e.value, e.key
		}
	}
	return nil, nil
}

// add records a problem that knows its line.
func (s *source) add(p Problem) {
	if p.File == "" {
		p.File = s.file
	}
	s.problems = append(s.problems, p)
}

// report records a problem at a place.
func (s *source) report(at *node, p Problem) {
	p.File, p.Line, p.Column = s.locate(at)
	p.Path = at.String()
	s.add(p)
}

// fail reports that a place cannot be decoded.
func (s *source) fail(at *node, p Problem) {
	s.report(at, p)
	s.lost(at)
}

// lost notes that a place could not be decoded.
func (s *source) lost(at *node) {
	if s.broken == nil {
		s.broken = map[string]int{}
	}
	for depth := 0; at != nil; at, depth = at.parent, depth+1 {
		if d, ok := s.broken[at.String()]; !ok || depth < d {
			s.broken[at.String()] = depth
		}
	}
}

// incomplete says whether something at or below a place could not be decoded.
func (s *source) incomplete(at *node) bool {
	_, lost := s.broken[at.String()]
	return lost
}

// incompleteKeys says whether the mapping or list at a place, or one of its items as a whole, could
// not be decoded.
func (s *source) incompleteKeys(at *node) bool {
	depth, lost := s.broken[at.String()]
	return lost && depth <= 1
}
