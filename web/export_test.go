package web_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
)

func TestATableOpensInASpreadsheetAndIsNoFormula(t *testing.T) {
	s := shop(t)
	for id, name := range map[string]string{"cust-00000": `=HYPERLINK("http://evil","x")`, "cust-00001": "+1", "cust-00002": "-2", "cust-00003": "@SUM",
		"cust-00004": "\t=1", "cust-00005": " =1", "cust-00008": "Öl & Søn, \"AS\""} {
		s.world.SetCustomer(id, func(c *migration.CustomerStatus) { c.Name = name })
	}
	b := s.as(t, access.Viewer)
	body := mustGet(t, s, b, "/m/shop/table/customers.csv")
	require.True(t, strings.HasPrefix(body, "\ufeffcustomer,name,batch,"), "a byte order mark, then the head")
	rows, err := csv.NewReader(bytes.NewReader([]byte(strings.TrimPrefix(body, "\ufeff")))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 31)
	for _, row := range rows[1:] {
		for _, cell := range row {
			require.False(t, cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r"), "%q is a formula", cell)
		}
	}
	require.Equal(t, `Öl & Søn, "AS"`, rows[9][1])
	require.Equal(t, "2026-12-02T20:00:00Z", rows[1][9], "a tracker needs the window")
	require.Contains(t, s.audit.String(), "export of customers")
}

func TestEveryTableIsThereAsCSVAndJSON(t *testing.T) {
	s := shop(t)
	b := s.as(t, access.Viewer)
	for _, path := range []string{"/plans/plans", "/m/shop/table/customers", "/m/shop/table/batches", "/m/shop/table/data",
		"/m/shop/table/timeline",
		"/m/shop/c/cust-00000/table/moves", "/m/shop/c/cust-00000/table/timeline"} {
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(mustGet(t, s, b, path+".csv"), "\ufeff"))).ReadAll()
		require.NoError(t, err, path)
		require.Greater(t, len(rows), 1, path)
		var list []map[string]any
		require.NoError(t, json.Unmarshal([]byte(mustGet(t, s, b, path+".json")), &list), path)
		require.Len(t, list, len(rows)-1, path)
		require.Len(t, list[0], len(rows[0]), path)
	}
}

func TestATableIsFilteredAsThePageIs(t *testing.T) {
	s := shop(t)
	var list []map[string]any
	require.NoError(t, json.Unmarshal([]byte(mustGet(t, s, s.as(t, access.Viewer), "/m/shop/table/customers.json?state=held")), &list))
	require.Len(t, list, 1)
	require.Equal(t, "cust-00003", list[0]["customer"])
	require.InDelta(t, 1400, list[0]["freeze_ms"], 0)
	require.Nil(t, list[0]["ended"])
}
