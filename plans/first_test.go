package plans

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// listener and onprem are what a lead fills in.
const (
	aListener = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/public/0123456789abcdef/0123456789abcdef"
	aGroup    = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/onprem-web/0123456789abcdef"
)

// firsts are first plans: one of which everything is known that can be asked, and one of which
// nothing is.
func firsts() map[string]First {
	return map[string]First{
		"known": {
			Name: "shop", Bucket: "example-drover-state",
			Site: FirstSite{Name: "dc1", URL: "https://vcenter.dc1.example/sdk", Datacenter: "DC 1: north", Credentials: "env://VSPHERE",
				CAFile: "/etc/drover/ca.pem"},
			Target: FirstTarget{Account: "012345678901", Region: "us-east-1", VPC: "vpc-0a1b2c3d", Subnets: []string{"subnet-0a1b2c3d",
				"subnet-0a1b2c3e"}},
			Workloads: []FirstWorkload{
				{Name: "web", VMs: []string{"web-01", "yes", "WEB 02"}, Port: 8080},
				{Name: "api", VMs: []string{"api-01"}, Port: 8080,
					Notes: []string{"api-01 cannot move as it is:\nit has a raw device mapping."}},
				{Name: "jobs", VMs: []string{"jobs-01"}},
			},
			Databases: []FirstDatabase{{Name: "orders", Address: "db-01.dc1.example:5432", Column: "tenant_id"}},
			Listener:  strings.Replace(aListener, "123456789012", "012345678901", 1), File: "shop-customers.csv", Customers: 2,
			Batches: FirstBatches([]string{"acme", "globex"}),
			Notes:   []string{"Left out: dns-01: by its name it serves more than this application."},
		},
		"nothing": {
			Name: "shop", Site: FirstSite{Name: "dc1", URL: "https://vcenter.dc1.example/sdk", Datacenter: "DC0",
				Credentials: "env://VSPHERE"},
			Workloads: []FirstWorkload{{Name: "web", VMs: []string{"web-01"}, Port: 8080}}, File: "shop-customers.csv", Customers: 1,
			Databases: []FirstDatabase{{Name: "orders", Column: "tenant_id"}}, Batches: FirstBatches([]string{"acme"}),
		},
	}
}

func customersOf(f First) string {
	text := "id,tenant,host,workloads,datasets\nacme,1,acme.example.com,%,orders\nglobex,2,globex.example.com,%,orders\n"
	lines := strings.SplitAfter(text, "\n")[:1+f.Customers]
	var names []string
	for _, w := range f.Workloads {
		names = append(names, w.Name)
	}
	return strings.ReplaceAll(strings.Join(lines, ""), "%", strings.Join(names, ";"))
}

func TestAFirstPlanIsReadableAndSaysWhatIsToBeFilledIn(t *testing.T) {
	for name, f := range firsts() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, f.File), []byte(customersOf(f)), 0o600))
			golden(t, "testdata/first/"+name+".yaml", f.YAML())
			_, problems := Parse("plan.yaml", f.YAML(), dir)
			golden(t, "testdata/first/"+name+".golden", []byte(problems.Error()+"\n"))
			for _, p := range problems {
				require.Contains(t, p.Found, FillIn, "what is not to be filled in is right: %s", p)
			}

			filled, group := string(f.YAML()), strings.Replace(aGroup, "123456789012", cmp.Or(f.Target.Account, "123456789012"), 1)
			for at, with := range map[string]string{"account: \"" + FillIn: "account: \"123456789012",
				"region: " + FillIn: "region: us-east-1",
				"bucket: " + FillIn: "bucket: example-drover-state", "vpc: " + FillIn: "vpc: vpc-1", "[" + FillIn: "[subnet-1",
				"addressFromTarget: " + FillIn: "addressFromTarget: db.example:5432", "rds: " + FillIn: "rds: orders",
				"listener: " + FillIn: "listener: \"" + aListener + "\"", "onprem: " + FillIn: "onprem: \"" + group + "\""} {
				filled = strings.ReplaceAll(filled, at, with)
			}
			_, problems = Parse("plan.yaml", []byte(filled), dir)
			require.Empty(t, problems, "filled in it is valid")
		})
	}
}

// Names of machines and datacenters are other people's: whatever they are, the plan says them.
func TestWhateverAMachineIsCalledAFirstPlanNamesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		called := rapid.StringMatching(`[^\x00-\x1f\x7f]{1,40}`).Filter(isA[Text]).Draw(t, "name")
		f := firsts()["known"]
		f.Workloads = f.Workloads[:1]
		f.Workloads[0].VMs, f.Site.Datacenter = []string{called, called + "2"}, called
		f.Notes = []string{called + "\n" + called}
		f.Workloads[0].Notes = []string{called}
		s := readSource("plan.yaml", f.YAML())
		require.Empty(t, s.problems)
		p, problems := Parse("plan.yaml", f.YAML(), "")
		for _, x := range problems {
			if x.Path != "customers.file" && !strings.Contains(x.Found, FillIn) {
				require.Fail(t, x.String())
			}
		}
		require.Nil(t, p)
	})
}

func TestCustomersAreDividedIntoBatchesThatTemporalTakes(t *testing.T) {
	for n, want := range map[int]string{
		0: "", 1: "canary 1", 2: "canary 1, everyone-else 1", 20: "canary 1, everyone-else 19", 101: "canary 1, early 10, everyone-else 90",
		3500: "canary 1, early 349, wave-1 1000, wave-2 1000, wave-3 1000, everyone-else 150",
	} {
		ids, left, got := make([]string, n), n, []string{}
		for _, b := range FirstBatches(ids) {
			size := left
			if len(b.IDs)+b.Count > 0 {
				size = len(b.IDs) + b.Count
			}
			left -= size
			require.LessOrEqual(t, size, MaxBatchCustomers)
			got = append(got, b.Name+" "+strconv.Itoa(size))
		}
		require.Equal(t, want, strings.Join(got, ", "))
		require.Zero(t, left, "everybody is in a batch")
	}
}

func TestAnAnswerThatDoesNotFitSaysWhatDoes(t *testing.T) {
	require.NoError(t, Fits("account", "123456789012"))
	require.EqualError(t, Fits("account", "1234"), `"1234" is not 12 digits in quotes, like "123456789012"`)
	require.ErrorContains(t, Fits("vcenter", "http://vcenter.example/sdk"), "https:// address")
	for question := range fitting {
		require.Error(t, Fits(question, "a\nb"), question)
	}
	err := Fits("credentials", "hunter2")
	require.ErrorContains(t, err, "env://NAME")
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, Fits("vcenter", "https://admin:hunter2@vcenter.example/sdk").Error(), "hunter2")
}
