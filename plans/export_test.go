package plans

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnExportIsUnderstoodAsPeopleExportIt(t *testing.T) {
	want := "id,name,tenant,host,workloads,zone,contact,label.tier\n" +
		"acme-corp,Acme Corp,17,acme.app.example.com;shop.acme.example,,Europe/Kyiv,cs@acme.example,gold\n" +
		"mueller,\"Müller, Söhne\",18,m.app.example.com,,,,silver\n"
	const rows = "Acme Corp;Acme Corp;0017;https://ACME.App.Example.com/login, shop.acme.example;Europe/Kyiv;cs@acme.example;gold\n" +
		"Müller;\"Müller, Söhne\";18;m.app.example.com.;;;silver\n"
	const heads = "Customer ID;Company name;Tenant No.;Domains;Time zone;E-Mail;Tier\n"
	for name, text := range map[string]string{
		"semicolons":               heads + rows,
		"a mark of the byte order": "\ufeff" + heads + rows,
		"lines that end in CR LF":  strings.ReplaceAll(heads+rows, "\n", "\r\n"),
		"a line for Excel":         "sep=;\r\n" + heads + rows,
		"UTF-16":                   string(inUTF16(heads+rows, binary.LittleEndian)),
		"tabs":                     strings.ReplaceAll(heads+rows, ";", "\t"),
		"small letters":            strings.ToLower(heads) + rows,
		"texts in quotes":          heads + strings.Replace(rows, "0017", `"=""0017"""`, 1),
		"texts that Excel leaves":  heads + strings.Replace(strings.Replace(rows, "0017", `="0017"`, 1), `"Müller, Söhne"`, `="Müller, Söhne"`, 1),
		"all of them such texts":   `="` + strings.NewReplacer(";", `";="`, "\n", "\"\n=\"", `"Müller, Söhne"`, "Müller, Söhne").Replace(strings.TrimSuffix(heads+rows, "\n")) + `"`,
		"empty rows and columns":   strings.ReplaceAll(heads+rows, "\n", ";;\n") + ";;;;;;;;\n",
	} {
		t.Run(name, func(t *testing.T) {
			e, problems := ReadExport("crm.csv", []byte(text), nil)
			require.Empty(t, problems)
			require.Equal(t, want, string(e.CSV()))
			require.Empty(t, e.LeftOut)
		})
	}
}

func TestAnExportsColumnsAreNamedWhereTheirNamesDoNotSayIt(t *testing.T) {
	const text = "Kundennummer,Webadresse,Umsatz,Notiz,Region\nK-1,a.example,1,x y,eu\n" +
		"K-2,b.example,2,\"viel, viel!\",eu\nK-3,c.example,3,,us\nK-4,d.example,4,,us\n"
	_, problems := ReadExport("crm.csv", []byte(text), nil)
	require.EqualError(t, problems, "crm.csv:1:1: no column is known as the customers' hosts: found Kundennummer, Notiz, Region, Umsatz, "+
		"Webadresse; want one that is called host, domain or url; say which it is: --column host=NAME")
	e, problems := ReadExport("crm.csv", []byte(text), map[string]string{"id": "kundennummer", "host": "Webadresse"})
	require.Empty(t, problems)
	require.Equal(t, "id,host,workloads,label.region\nk-1,a.example,,eu\nk-2,b.example,,eu\nk-3,c.example,,us\n"+
		"k-4,d.example,,us\n", string(e.CSV()))
	require.Equal(t, []string{"Umsatz: it has 4 values", "Notiz: its values are no labels"}, e.LeftOut)
	require.Equal(t, map[string]string{"id": "Kundennummer", "host": "Webadresse", "label.region": "Region"}, e.Taken)

	_, problems = ReadExport("crm.csv", []byte(text), map[string]string{"id": "Kundennumer", "hots": "Webadresse"})
	require.ErrorContains(t, problems, `there is no column "Kundennumer"`)
	require.ErrorContains(t, problems, `did you mean "Kundennummer"?`)
	require.ErrorContains(t, problems, `no customer has "hots"; want one of contact, `)
}

func TestWhatIsWrongInAnExportIsToldAtOnceWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"everything": {"id,tenant,host,zone\n,1,a.example,\nACME,x,a b_c!,Mars\nacme,0,,\n", "" +
			"crm.csv:2:1: a customer without an id: found \"\"; want a text of which letters, digits and hyphens make a name\n" +
			"crm.csv:3:6: no tenant: found \"x\"; want an integer from 1 to 2147483647\n" +
			"crm.csv:3:8: no host: found \"b_c!\"; want a host name in lower case, without * and without port, at most 128 long\n" +
			"crm.csv:3:15: no time zone: found \"Mars\"; want an IANA zone, like Europe/Kyiv or UTC\n" +
			"crm.csv:4:1: customer \"acme\" is there twice: found \"acme\"; the first is in line 3\n" +
			"crm.csv:4:6: no tenant: found \"0\"; want an integer from 1 to 2147483647\n" +
			"crm.csv:4:8: a customer without a host; want at least 1"},
		"a short row": {"id,tenant,host\na,1\n", "crm.csv:2:1: wrong number of cells: found 2; want 3, as in the header"},
		"after texts that Excel leaves": {"id;tenant;host\n=\"a\";=\"x\";a b_c!\n", "" +
			"crm.csv:2:6: no tenant: found \"x\"; want an integer from 1 to 2147483647\n" +
			"crm.csv:2:11: no host: found \"b_c!\"; want a host name in lower case, without * and without port, at most 128 long"},
		"a text that Excel leaves, without an end": {"id,host\na,=\"b\n", "crm.csv:2:6: not CSV: extraneous or missing \" in " +
			"quoted-field; want a header and a line a customer"},
		"nobody":     {"id,host\n", "crm.csv:1:1: no customers; want at least 1"},
		"nothing":    {"", "crm.csv: not CSV; want a header id,tenant,host,workloads,datasets and a line a customer"},
		"a workbook": {"PK\x03\x04", `crm.csv: a spreadsheet's workbook, and no CSV; save it from the spreadsheet as "CSV UTF-8 (comma delimited)"`},
		"Windows-1252": {"id,host,name\na,a.example,M\xfcller\n",
			"crm.csv:2:14: not a text in UTF-8, but in Windows-1252 or its like; " + saveAs},
		"something else": {"id,host,name\na,a.example,M\x81ller\n", "crm.csv:2:14: not a text in UTF-8; " + saveAs},
		"neither id nor name": {"host,tier\na.example,gold\n",
			"crm.csv:1:1: no column is known as the customers' ids or names: found host, tier; " +
				"want one that is called id, customer, code or name; say which it is: --column id=NAME"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := ReadExport("crm.csv", []byte(c.text), nil)
			require.EqualError(t, problems, c.says)
		})
	}
}

func TestWhatIsMadeOfAnExportIsACustomersFile(t *testing.T) {
	e, problems := ReadExport("crm.csv", []byte("Customer;Host;Tenant;Tier\r\nAcme & Co;acme.example.com;17;Gold Plus\r\n"), nil)
	require.Empty(t, problems)
	e.Customers[0].Workloads, e.Customers[0].Datasets = []string{"web"}, []string{"orders", "attachments"}
	p, problems := withCustomers(t, e.CSV())
	require.Empty(t, problems)
	require.Equal(t, Name("acme-co"), p.Customers.List[0].ID)
	require.Equal(t, LabelVal("Gold-Plus"), p.Customers.List[0].Labels["tier"])
	require.Equal(t, int64(17), p.Customers.List[0].Tenant)
}
