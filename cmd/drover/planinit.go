package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/discover"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/plans"
	"github.com/drover-migration/drover/worker"
)

// planInit is what `drover plan init` was told.
type planInit struct {
	a              *app
	ask            *interview
	file, export   string
	force          bool
	columns        map[string]string
	selector       migration.VMSelector
	within         time.Duration
	plan           plans.First
	subnets, front string
	port           int
	database       string // "none": there is none
	address        string
	column         string
}

func (a *app) planInitCommand() *cobra.Command {
	p := &planInit{a: a}
	cmd := &cobra.Command{
		Use:   "init [PLAN.yaml]",
		Short: "Write a first plan from a vCenter and a list of customers",
		Long: `Reads the machines of a vCenter and a list of customers as another system wrote
it, asks a few questions, and writes a first plan with comments, and beside it
the customers as a CSV file. Machines whose names differ in their number only
become one workload; whose name says that they serve everybody, and who is
powered off, is left out and named. Where only you know what belongs in the plan
it says FILL-IN, and those places are listed.

Each question is a flag, too; without a terminal those that have no usual answer
are required. The vCenter's user and password are given by reference, as in a
plan: env://NAME, file:///PATH, awssm://NAME or ssm://NAME, holding the JSON
{"username": .., "password": ..}. It reads in the vCenter, touches nothing
else, and needs no worker and no Temporal. A file that is there is not
overwritten without --force.

The list of customers is CSV as people export it: with commas, semicolons or
tabs, in UTF-8 or UTF-16, with or without capital letters. Columns that are
called id, customer, name, domain, tenant, e-mail and the like are known; say
others with --column. Columns with few values become labels.`,
		Example: `  drover plan init
  drover plan init shop.yaml --name shop --vcenter https://vcenter.example/sdk \
    --vcenter-credentials file:///etc/drover/vcenter --folder shop \
    --customers crm.csv --column id=Kundennummer --account 123456789012 \
    --region eu-central-1 --bucket example-drover-state`,
		Args: asInput(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.file = "plan.yaml"
			if len(args) > 0 {
				p.file = args[0]
			}
			p.ask = &interview{a: a, cmd: cmd, asks: isTerminal(a.in)}
			return p.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.plan.Name, "name", "", "name of the migration: lower-case letters, digits, hyphens")
	f.StringVar(&p.plan.Site.URL, "vcenter", "", "the vCenter's SDK address: https://HOST/sdk")
	f.StringVar(&p.plan.Site.Credentials, "vcenter-credentials", "", "reference to its user and password (usual: env://VSPHERE)")
	f.StringVar(&p.plan.Site.CAFile, "vcenter-ca", "", "PEM file of the authority that signed its certificate")
	f.StringVar(&p.plan.Site.Thumbprint, "vcenter-thumbprint", "", "SHA-256 of its certificate, where no authority vouches for it")
	f.StringVar(&p.plan.Site.Datacenter, "datacenter", "", "its datacenter (usual: the only one)")
	f.StringVar(&p.plan.Site.Name, "site", "", "the plan's name for the place (usual: that of the datacenter)")
	f.StringVar(&p.selector.Folder, "folder", "", "only machines below this folder")
	f.StringVar(&p.selector.Tag, "tag", "", "only machines with this tag: CATEGORY:TAG, or the tag alone")
	f.StringVar(&p.selector.Name, "match", "", "only machines whose name matches this pattern")
	f.StringVar(&p.export, "customers", "", "the list of customers, as CSV")
	f.StringToStringVar(&p.columns, "column", nil, "what a column of it is: OURS=THEIRS, as in id=Kundennummer")
	f.StringVar(&p.plan.Target.Account, "account", "", "AWS account: 12 digits")
	f.StringVar(&p.plan.Target.Region, "region", "", "AWS region")
	f.StringVar(&p.plan.Bucket, "bucket", "", "S3 bucket for Drover's state")
	f.StringVar(&p.plan.Target.VPC, "vpc", "", "VPC (or fill it in later)")
	f.StringVar(&p.subnets, "subnets", "", "subnets, with commas between them (or fill them in later)")
	f.StringVar(&p.plan.Listener, "listener", "", "ARN of the load balancer's listener (or fill it in later)")
	f.StringVar(&p.front, "front", "", "workloads that take customers' requests (usual: those whose names say so)")
	f.IntVar(&p.port, "port", 8080, "TCP port on which they take them")
	f.StringVar(&p.database, "database", "", "name of the customers' PostgreSQL database, or none")
	f.StringVar(&p.address, "database-address", "", "HOST:PORT by which RDS reaches it (or fill it in later)")
	f.StringVar(&p.column, "tenant-column", "", "integer column that tells customers apart (usual: tenant_id)")
	f.BoolVar(&p.force, "force", false, "overwrite files that are there")
	f.DurationVar(&p.within, "within", 5*time.Minute, "how long the vCenter may take to answer")
	return cmd
}

func (p *planInit) run(ctx context.Context) error {
	dir, base := filepath.Split(p.file)
	p.plan.File = strings.TrimSuffix(base, filepath.Ext(base)) + "-customers.csv"
	beside := filepath.Join(dir, p.plan.File)
	if err := p.mayWrite(p.file, beside); err != nil {
		return err
	}
	if err := p.questions(ctx); err != nil {
		return err
	}
	customers, err := p.customers(beside)
	if err != nil {
		return err
	}
	vms, err := p.machines(ctx)
	if err != nil {
		return err
	}
	if err := p.compose(ctx, vms, customers); err != nil {
		return err
	}
	if err := p.write(beside, customers.CSV()); err != nil {
		return err
	}
	if err := p.write(p.file, p.plan.YAML()); err != nil {
		return err
	}
	return p.report(beside, customers)
}

// mayWrite refuses to overwrite what is there, before anything is asked.
func (p *planInit) mayWrite(files ...string) error {
	for _, f := range files {
		info, err := os.Stat(f)
		switch {
		case err == nil && info.IsDir():
			return inputError("name the file that the plan shall have", "write %s: it is a folder", f)
		case err == nil && !p.force:
			return &client.Problem{Kind: client.ErrRefused, Doing: "write " + f, Why: "the file is there already",
				Next: "name another file, or give --force to overwrite " + strings.Join(files, " and ")}
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return inputError("name a file that can be written", "write %s: %w", f, err)
		}
	}
	if info, err := os.Stat(filepath.Dir(files[0])); err != nil || !info.IsDir() {
		return inputError("make the folder first", "write %s: there is no folder %s", files[0], filepath.Dir(files[0]))
	}
	return nil
}

// questions are those that need no look at the vCenter.
func (p *planInit) questions(ctx context.Context) error {
	f := &p.plan
	if p.port < 1 || p.port > 65535 {
		return inputError("give a TCP port, such as 8080", "--port %d", p.port)
	}
	err := p.ask.put(ctx,
		question{flag: "name", form: "name", ask: "Name of the migration", to: &f.Name},
		question{flag: "vcenter", form: "vcenter", ask: "vCenter, as https://HOST/sdk", to: &f.Site.URL},
		question{flag: "vcenter-credentials", form: "credentials", ask: "Reference to its user and password", usual: "env://VSPHERE",
			to: &f.Site.Credentials},
		question{flag: "customers", ask: "List of customers, a CSV file", to: &p.export},
		question{flag: "account", form: "account", ask: "AWS account", to: &f.Target.Account},
		question{flag: "region", form: "region", ask: "AWS region", to: &f.Target.Region},
		question{flag: "bucket", form: "bucket", ask: "S3 bucket for Drover's state", to: &f.Bucket},
		question{flag: "vpc", form: "vpc", ask: "VPC", optional: true, to: &f.Target.VPC},
		question{flag: "subnets", form: "subnet", ask: "Subnets, with commas between them", optional: true, list: true, to: &p.subnets},
		question{flag: "listener", form: "listener", ask: "ARN of the load balancer's listener", optional: true, to: &f.Listener},
	)
	if err != nil {
		return err
	}
	forms := map[string]string{"vcenter-ca": "ca", "vcenter-thumbprint": "thumbprint", "datacenter": "text", "site": "site"}
	for flag, form := range forms {
		if given := p.ask.cmd.Flags().Lookup(flag); given.Changed {
			if err := plans.Fits(form, given.Value.String()); err != nil {
				return inputError("see `drover plan init --help`", "--%s: %w", flag, err)
			}
		}
	}
	f.Target.Subnets = listOf(p.subnets)
	return p.ask.complete()
}

// customers reads the export. It is not written over.
func (p *planInit) customers(beside string) (*plans.Export, error) {
	body, err := os.ReadFile(p.export)
	if err != nil {
		return nil, inputError("name the CSV file with --customers", "read the list of customers: %w", err)
	}
	if theirs, err := os.Stat(p.export); err == nil {
		for _, file := range []string{p.file, beside} { // by whatever name: a link leads to it too
			if ours, err := os.Stat(file); err == nil && os.SameFile(theirs, ours) {
				return nil, inputError("give the plan another name, or the list", "%s would be overwritten by what is made of it", file)
			}
		}
	}
	out, problems := plans.ReadExport(p.export, body, p.columns)
	if len(problems) > 0 {
		return nil, &badInput{err: fmt.Errorf("the list of customers has %s\n%w", count(len(problems), "mistake"), problems),
			next: "correct the list, or say with --column what its columns are; `drover plan init --help` has the names"}
	}
	return out, nil
}

// machines asks the vCenter.
func (p *planInit) machines(ctx context.Context) ([]migration.VM, error) {
	log, err := p.a.logger()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.within)
	defer cancel()
	s := &p.plan.Site
	conf := migration.VSphere{URL: s.URL, Datacenter: s.Datacenter, Credentials: migration.SecretRef(s.Credentials), CAFile: s.CAFile,
		Thumbprint: s.Thumbprint}
	in, vms, err := worker.Machines(ctx, conf, p.selector, log)
	switch {
	case errors.Is(err, worker.ErrSeveralDatacenters):
		return nil, &badInput{err: err, next: "name it with --datacenter"}
	case err != nil && ctx.Err() == nil:
		return nil, &badInput{err: err, next: "correct --vcenter, --vcenter-credentials, --vcenter-ca or --vcenter-thumbprint"}
	case err != nil:
		return nil, err
	case len(vms) == 0:
		return nil, inputError("see --folder, --tag and --match, and what the user may read", "datacenter %s shows no such machine", in)
	}
	s.Datacenter = in
	if s.Name == "" {
		if s.Name = plans.NameOf(in); s.Name == "" {
			s.Name = "onprem"
		}
	}
	return vms, nil
}

// compose makes the plan of machines and customers, and asks what of the machines only a lead
// knows.
func (p *planInit) compose(ctx context.Context, vms []migration.VM, customers *plans.Export) error {
	all, left := discover.ByName(vms)
	for _, l := range left {
		p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("Left out: %s: %s.", l.Name, l.Why))
	}
	var fronts, servers []string
	for _, w := range all {
		if w.Role == discover.Database {
			servers = append(servers, w.Name)
			for _, n := range w.Names() {
				p.plan.Notes = append(p.plan.Notes,
					fmt.Sprintf("Left out: %s: a database's data moves by replication, not with its disks.", n))
			}
			continue
		}
		if w.Role == discover.Front {
			fronts = append(fronts, w.Name)
		}
		p.plan.Workloads = append(p.plan.Workloads, plans.FirstWorkload{Name: w.Name, VMs: w.Names(), Notes: w.Notes()})
	}
	if len(p.plan.Workloads) == 0 {
		return inputError("see --folder, --tag and --match", "no machine is left that is part of an application")
	}
	if len(fronts) == 0 && len(p.plan.Workloads) == 1 {
		fronts = []string{p.plan.Workloads[0].Name}
	}
	database := "none"
	if slices.ContainsFunc(customers.Customers, func(c plans.Exported) bool { return c.Tenant != 0 }) {
		database = append(servers, "database")[0]
	}
	err := p.ask.put(ctx,
		question{flag: "front", form: "workload", ask: "Workloads that take customers' requests, of " + p.workloads(),
			usual: strings.Join(fronts, ","), list: true, to: &p.front},
		question{flag: "database", form: "database", ask: "Name of the customers' PostgreSQL database, or none", usual: database,
			to: &p.database},
	)
	if err == nil {
		err = p.ask.complete()
	}
	if err != nil {
		return err
	}
	if err := p.placeFronts(); err != nil {
		return err
	}
	if p.database != "none" {
		err := p.ask.put(ctx,
			question{flag: "database-address", form: "address", ask: "HOST:PORT by which RDS reaches it", optional: true, to: &p.address},
			question{flag: "tenant-column", form: "column", ask: "Integer column that tells customers apart", usual: "tenant_id",
				to: &p.column},
		)
		if err != nil {
			return err
		}
		p.plan.Databases = []plans.FirstDatabase{{Name: p.database, Address: p.address, Column: p.column}}
	}
	p.settle(customers)
	return nil
}

func (p *planInit) workloads() string {
	var names []string
	for _, w := range p.plan.Workloads {
		names = append(names, w.Name)
	}
	return strings.Join(names, ", ")
}

// placeFronts gives the workloads that take requests their port. The first of them takes all paths.
func (p *planInit) placeFronts() error {
	for n, name := range listOf(p.front) {
		i := slices.IndexFunc(p.plan.Workloads, func(w plans.FirstWorkload) bool { return w.Name == name })
		if i < 0 {
			return inputError("name some of "+p.workloads(), "--front: the machines make no workload %q", name)
		}
		w := p.plan.Workloads[i]
		w.Port = p.port
		p.plan.Workloads = slices.Insert(slices.Delete(p.plan.Workloads, i, i+1), min(n, len(p.plan.Workloads)-1), w)
	}
	return nil
}

// settle says what customers use who do not say it themselves, and who goes when.
func (p *planInit) settle(customers *plans.Export) {
	workloads, datasets := listOf(p.workloads()), []string(nil)
	for _, d := range p.plan.Databases {
		datasets = append(datasets, d.Name)
	}
	var ids []string
	for i := range customers.Customers {
		c := &customers.Customers[i]
		if len(c.Workloads) == 0 {
			c.Workloads = workloads
		}
		if len(c.Datasets) == 0 {
			c.Datasets = datasets
		}
	}
	for _, c := range customers.Order() {
		ids = append(ids, c.ID)
	}
	p.plan.Customers, p.plan.Batches = len(ids), plans.FirstBatches(ids)
	for _, l := range customers.LeftOut {
		p.plan.Notes = append(p.plan.Notes, "Left out of the list of customers: column "+l+".")
	}
}

// write puts a file there whole. Without --force it must not have come into being meanwhile.
func (p *planInit) write(file string, body []byte) error {
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if p.force {
		how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(file, how, 0o644) //nolint:gosec // the user names it, and it holds no secret
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	_, err = f.Write(body)
	return errors.Join(err, f.Close())
}

// report says what was written, and reads it again as `drover plan validate` does: what it finds is
// what is left to do.
func (p *planInit) report(beside string, customers *plans.Export) error {
	var b strings.Builder
	machines := 0
	for _, w := range p.plan.Workloads {
		machines += len(w.VMs)
	}
	fmt.Fprintf(&b, "%s: %s with %s, %s, %s in %s\n", p.file, count(len(p.plan.Workloads), "workload"), count(machines, "machine"),
		count(len(p.plan.Databases), "database"), count(p.plan.Customers, "customer"), batches(len(p.plan.Batches)))
	fmt.Fprintf(&b, "%s: %s\n", beside, count(len(customers.Customers), "customer"))
	for _, n := range p.plan.Notes {
		b.WriteString(printer.Wrap("  ", strings.ToLower(n[:1])+strings.TrimSuffix(n[1:], ".")))
	}
	_, err := plans.Load(p.file)
	var problems plans.Problems
	switch {
	case err == nil:
		fmt.Fprintf(&b, "\nit is valid; next: drover inventory %s\n", p.file)
	case !errors.As(err, &problems):
		return err
	default:
		fmt.Fprintf(&b, "\nto fill in or correct; then: drover plan validate %s\n", p.file)
		for _, x := range problems {
			b.WriteString(printer.Wrap("  ", toFillIn(x)))
		}
	}
	_, err = p.a.out.Write([]byte(b.String()))
	return err
}

// toFillIn is a problem of a first plan: what is missing is no mistake.
func toFillIn(x plans.Problem) string {
	if !strings.Contains(x.Found, plans.FillIn) {
		return x.String()
	}
	return fmt.Sprintf("%s:%d: %s: %s", x.File, x.Line, x.Path, x.Want)
}

func batches(n int) string {
	if n == 1 {
		return "1 batch"
	}
	return fmt.Sprintf("%d batches", n)
}
