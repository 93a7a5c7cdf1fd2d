package lab

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/drover-migration/drover/lab/dns"
	"github.com/drover-migration/drover/lab/door"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/lab/pg/gate"
	"github.com/drover-migration/drover/lab/verify"
	"github.com/drover-migration/drover/migration"
)

// Doors stand between the product and the systems around it, and can be shut, held or made to lose
// what passes. The application and its customers go by ways of their own.
type Doors struct {
	OnPrem, RDS *gate.Gate // workers and the other side's replication reach the databases through them
	AWS, S3     *door.Door
	EBS         *door.Door  // of EBS direct
	Names       *dns.Server // asked by probes only
}

// Gate is the door of a side's database.
func (d *Doors) Gate(side migration.Side) *gate.Gate {
	if side == migration.AWS {
		return d.RDS
	}
	return d.OnPrem
}

// openDoors opens them before what is behind them has started.
func (l *Lab) openDoors() (err error) {
	d := &Doors{}
	l.motoURL = "http://" + at(l.net.moto(), l.ports.moto)
	l.s3URL = "http://" + at(l.net.s3(), l.ports.s3)
	if d.OnPrem, err = gate.Start(at(l.net.database(), l.ports.database)); err != nil {
		return err
	}
	l.later(d.OnPrem.Close)
	if d.RDS, err = gate.Start(at(l.net.rds(), l.ports.database)); err != nil {
		return err
	}
	l.later(d.RDS.Close)
	if d.AWS, err = door.Open(l.motoURL); err != nil {
		return err
	}
	l.later(d.AWS.Close)
	if d.S3, err = door.Open(l.s3URL); err != nil {
		return err
	}
	l.later(d.S3.Close)
	if d.EBS, err = door.Open("http://" + at(l.net.ebs(), l.ports.ebs)); err != nil {
		return err
	}
	l.later(d.EBS.Close)
	l.Doors = d
	return nil
}

// databaseAddress is where the product finds a side's database: its server, or the door before it.
func (l *Lab) databaseAddress(side migration.Side) string {
	if l.Doors != nil {
		host, port := l.Doors.Gate(side).Address()
		return at(host, port)
	}
	if side == migration.AWS {
		return at(l.net.rds(), l.ports.database)
	}
	return at(l.net.database(), l.ports.database)
}

// droverDSN is how a worker on premises connects to a database there.
func (l *Lab) droverDSN(name string) string {
	return pg.DSN(l.databaseAddress(migration.OnPrem), l.drover[0].name, l.drover[0].password, name)
}

// Server is the database server of a side.
func (l *Lab) Server(side migration.Side) *pg.Server {
	if side == migration.AWS {
		return l.rds
	}
	return l.onprem
}

// DSN connects to the application's database on a side as its administrator, past every door.
func (l *Lab) DSN(side migration.Side) string { return l.Server(side).DSN(database) }

// AppDSN connects to it as the application does.
func (l *Lab) AppDSN(side migration.Side) string {
	who := l.app[0]
	if side == migration.AWS {
		who = l.app[1]
	}
	return l.Server(side).DSNAs(who.name, who.password, database)
}

// KillTemporal ends Temporal's server as a crash would. RestartTemporal starts it again over its
// database, at the same address.
func (l *Lab) KillTemporal() { l.temporal.Kill() }

// RestartTemporal returns when the server answers.
func (l *Lab) RestartTemporal(ctx context.Context) error { return l.temporal.Restart(ctx) }

// DropVCenterSessions ends every session at vCenter, as its restart would.
func (l *Lab) DropVCenterSessions(ctx context.Context) error { return l.vcenter.DropSessions(ctx) }

// StartLoadOf drives the traffic of one customer, with a ledger of its own in the file.
func (l *Lab) StartLoadOf(ctx context.Context, c Customer, rate float64, ledger string) (*load.Load, error) {
	return load.Start(ctx, load.Options{URL: "http://" + l.Edge(), Names: l.DNS(), Customers: []load.Customer{l.loaded(c)}, Rate: rate,
		Ledger: ledger})
}

// VerifyOf is Verify for one customer, whose traffic has stopped, by its own ledger. Disks are left
// out.
func (l *Lab) VerifyOf(ctx context.Context, c Customer, ledger string) (*verify.Result, error) {
	o := l.truth()
	o.Customers, o.Only, o.Ledger = []load.Customer{l.loaded(c)}, true, ledger
	return verify.Run(ctx, o)
}

// Made counts what a migration has made in AWS and what it holds open at vCenter, by kind.
func (l *Lab) Made(ctx context.Context) (map[string]int, error) {
	c, tagged := ec2.NewFromConfig(l.AWSConfig()), []types.Filter{{Name: aws.String("tag-key"), Values: []string{"drover:plan"}}}
	out := map[string]int{"leases of exports": l.vcenter.OpenLeases()}
	machines, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: append(tagged, types.Filter{
		Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "stopped"}})})
	if err != nil {
		return nil, fmt.Errorf("count the instances: %w", err)
	}
	for _, r := range machines.Reservations {
		out["instances"] += len(r.Instances)
	}
	images, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		return nil, fmt.Errorf("count the images: %w", err)
	}
	out["images"] = len(images.Images)
	copies, err := l.copies(ctx)
	if err != nil {
		return nil, err
	}
	out["snapshots"] = len(copies)
	services, err := ecs.NewFromConfig(l.AWSConfig()).ListServices(ctx, &ecs.ListServicesInput{Cluster: aws.String("platform")})
	if err != nil {
		return nil, fmt.Errorf("count the services: %w", err)
	}
	out["services"] = len(services.ServiceArns)
	groups, err := elb.NewFromConfig(l.AWSConfig()).DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{})
	if err != nil {
		return nil, fmt.Errorf("count the target groups: %w", err)
	}
	out["target groups"] = len(groups.TargetGroups)
	return out, nil
}
