package plans

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

// withCustomers is a plan of two workloads and two datasets whose customers stand in a file.
func withCustomers(t *testing.T, file []byte) (*Plan, Problems) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "customers.csv"), file, 0o600))
	src, err := os.ReadFile("testdata/invalid/csv-mistakes.yaml")
	require.NoError(t, err)
	return Parse("plan.yaml", bytes.ReplaceAll(src, []byte("csv-mistakes.csv"), []byte("customers.csv")), dir)
}

const (
	head = "id,tenant,host,workloads,datasets\n"
	acme = "acme,17,acme.example.com,web,orders;attachments\n"
)

func inUTF16(s string, order binary.AppendByteOrder) (out []byte) {
	for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

func TestWhatSpreadsheetsWriteIsUnderstood(t *testing.T) {
	for name, text := range map[string]string{
		"commas":                   head + acme,
		"semicolons":               strings.ReplaceAll(head, ",", ";") + "acme;17;acme.example.com;web;\"orders;attachments\"\n",
		"tabs":                     strings.ReplaceAll(head+acme, ",", "\t"),
		"empty rows at the end":    head + acme + ",,,,\n , , , , \n",
		"empty columns at the end": "id,tenant,host,workloads,datasets,,\nacme,17,acme.example.com,web,orders;attachments,,\n",
		"a mark of the byte order": "\ufeff" + head + acme,
		"UTF-16, low byte first":   string(inUTF16(head+acme, binary.LittleEndian)),
		"UTF-16, high byte first":  string(inUTF16(head+acme, binary.BigEndian)),
		"lines that end in CR LF":  strings.ReplaceAll(head+acme, "\n", "\r\n"),
		"capital letters":          "ID;Tenant;Host;Workloads;Datasets\r\nacme;17;ACME.Example.com;web;\"orders;attachments\"\r\n",
		"a line for Excel": "sep=;\r\n" + strings.ReplaceAll(head, ",", ";") +
			"acme;17;acme.example.com;web;\"orders;attachments\"\n",
		"texts that stay as they are": head + `"=""acme""",17,acme.example.com,web,orders;attachments` + "\n",
		"texts that Excel leaves":     head + `="acme",="17",acme.example.com,web,="orders;attachments"` + "\n",
		"no end of the last line":     strings.TrimSuffix(head+acme, "\n"),
		"a name in quotes": "id,name,tenant,host,workloads,datasets\nacme,\"Acme, " +
			"Inc.\",17,acme.example.com,web,orders;attachments\n",
		"four hosts, as many as is": head + strings.Replace(acme, "acme.example.com", "a.x.example;b.x.example;c.x.example;d.x.example", 1),
	} {
		t.Run(name, func(t *testing.T) {
			p, problems := withCustomers(t, []byte(text))
			require.Empty(t, problems)
			require.Len(t, p.Customers.List, 1)
			require.Equal(t, []Name{"orders", "attachments"}, p.Customers.List[0].Uses.Datasets)
			require.Equal(t, Name("acme"), p.Customers.List[0].ID)
			require.Contains(t, p.Customers.List[0].Match.Host[0], "example")
		})
	}
}

func TestWhatIsNoCSVIsToldInOneMessageWithItsRemedy(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"a workbook": {"PK\x03\x04\x14\x00\x06\x00",
			`customers.csv: a spreadsheet's workbook, and no CSV; save it from the spreadsheet as "CSV UTF-8 (comma delimited)"`},
		"an old workbook": {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
			`customers.csv: a spreadsheet's workbook, and no CSV; save it from the spreadsheet as "CSV UTF-8 (comma delimited)"`},
		"Latin-1": {head +
			"acme,17,acme.example.com,web,orders;attachments\nm\xfcller,18,m.example.com,web,orders;attachments\n",
			`customers.csv:3:2: not a text in UTF-8, but in Windows-1252 or its like; save it from the spreadsheet as "CSV UTF-8 (comma delimited)"`},
		"too many hosts": {head + strings.Replace(acme, "acme.example.com",
			"a.x.example;b.x.example;c.x.example;d.x.example;e.x.example", 1),
			"customers.csv:2:9: customers[0].match.host: too many: found 5; want at most 4"},
		"commas in a cell": {head + strings.Replace(acme, ",web,", `,"web,api",`, 1),
			`customers.csv:2:26: customers[0].uses.workloads: several in one cell are separated by semicolons: found "web,api"`},
		"a short row": {head + acme + "globex,18,globex.example.com,web\n",
			"customers.csv:3:1: customers[1]: wrong number of cells: found 4; want 5, as in the header"},
		"a long row": {head + acme + "globex,18,globex.example.com,web,orders,more\n",
			"customers.csv:3:1: customers[1]: wrong number of cells: found 6; want 5, as in the header"},
		"a label's key": {strings.Replace(head, "datasets", "datasets,label.Tier!", 1) + strings.Replace(acme, "attachments",
			"attachments,gold", 1) + "b,18,b.example.com,web,orders;attachments,gold\n",
			`customers.csv:1:35: not valid: found "label.Tier!"; want label.KEY, where KEY is a name of lower-case letters, digits and hyphens that starts with a letter or digit, at most 63 long`},
		"what stands below a line for Excel": {"sep=,\n" + head + acme + "globex,18,globex.example.com,web\n",
			"customers.csv:4:1: customers[1]: wrong number of cells: found 4; want 5, as in the header"},
		"a quote left open": {head + acme + "globex,18,\"globex.example.com,web,orders\n" +
			strings.Repeat("x,19,x.example.com,web,orders;attachments\n", 5),
			"customers.csv:3:1: not CSV: a quote that begins in this line's row is not closed; want a header " +
				"id,tenant,host,workloads,datasets and a line a customer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := withCustomers(t, []byte(c.text))
			require.Equal(t, c.says, problems.Error())
		})
	}
}

func TestOneCauseIsOneMessageHoweverManyCustomersItMeets(t *testing.T) {
	text := head
	for _, id := range strings.Fields("a b c d e f") {
		text += id + "," + string(rune('1'+id[0]-'a')) + "," + id + ".example.com,wbe,orders;attachments\n"
	}
	_, problems := withCustomers(t, []byte(text))
	require.Equal(t,
		`customers.csv:2:19: customers[0].uses.workloads[0]: no such workload: found "wbe"; want one of web; did you mean "web"?; the same in 5 places that follow`, problems.Error())

	src, err := os.ReadFile("testdata/invalid/csv-mistakes.yaml")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "csv-mistakes.csv"), []byte(strings.ReplaceAll(text, "wbe", "web")), 0o600))
	_, problems = Parse("plan.yaml", bytes.Replace(src, []byte("customers: {}"), []byte("customers: {labels: {tier: gold}}"), 1), dir)
	require.Len(t, problems, 1, "who is left out by it is its effect: %s", problems)
	require.Equal(t, "selects no customer", problems[0].Message)
}

func TestAPlanIsWarnedOfWhatItsAuthorMayNotHaveMeant(t *testing.T) {
	src, err := os.ReadFile("testdata/valid/selections.yaml")
	require.NoError(t, err)
	p, problems := Parse("plan.yaml", src, "")
	require.Empty(t, problems)
	warnings := p.Warnings()
	require.Len(t, warnings, 2)
	require.Contains(t, warnings.Error(), "datasets.attachments: no customer uses this dataset")
	require.Contains(t, warnings.Error(), "clocks in Europe/Kyiv show this time twice; the first is taken, 2026-10-25 00:30 UTC")

	more := strings.Replace(string(src), "workloads:\n  web:",
		"workloads:\n  spare:\n    site: dc1\n    vms: {names: [spare-01]}\n    target: {name: prod, ec2: {}}\n  web:", 1)
	p, problems = Parse("plan.yaml", []byte(more), "")
	require.Empty(t, problems)
	require.Contains(t, p.Warnings().Error(), "workloads.spare: no customer uses this workload")
}

func TestAPasswordInTheEnvironmentIsRefusedByItsName(t *testing.T) {
	src, err := os.ReadFile("testdata/valid/defaults.yaml")
	require.NoError(t, err)
	for name, refused := range map[string]bool{"DB_PASSWORD": true, "PGPASSWORD_FILE": false, "DB_SECRET": false, "api_key": true,
		"AWS_SECRET_ACCESS_KEY": true, "KEYBOARD": false} {
		with := strings.Replace(string(src), "ec2: {}", "ec2: {}, config: {env: {"+name+": hunter2}}", 1)
		_, problems := Parse("plan.yaml", []byte(with), "")
		if !refused {
			require.Empty(t, problems, name)
			continue
		}
		require.Len(t, problems, 1, name)
		require.Contains(t, problems.Error(), "config.env."+name+": a secret in clear (not shown)")
		require.NotContains(t, problems.Error(), "hunter2")
	}
}
