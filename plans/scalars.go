package plans

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a plan means the same on a machine without a zone database

	"github.com/drover-migration/drover/migration"
)

// Name and the types below it are the texts of a plan. Their forms stand in the table below.
//
//nolint:revive // one comment for all: what each may be is its row of the table
type (
	Name string // becomes paths, tags, workflow ids and SQL
	// Text is any line of text.
	Text           string
	Choice         string // one of the field's enum
	Bucket         string
	Prefix         string
	HTTPSURL       string
	AbsolutePath   string
	RelativePath   string
	Thumbprint     string
	Account        string
	Region         string
	VPC            string
	Subnet         string
	SecurityGroup  string
	KMSKey         string
	TagKey         string
	TagVal         string
	RoleARN        string
	RoleRef        string
	IAMName        string
	InstanceType   string
	VMPattern      string // as path.Match has it, over a name that has no slashes
	PathPattern    string
	URLPath        string
	EnvName        string
	EnvValue       string
	AWSSecret      string
	HostPort       string
	RDSName        string
	Column         string
	TableName      string
	CustomerPath   string
	CustomerPrefix string
	ListenerARN    string
	HostedZone     string
	DNSName        string
	IPv4           string
	FrontURL       string // scheme, host and port
	BackendName    string // of a router of the user's own
	TargetGroupARN string
	Host           string
	LabelVal       string
	Zone           string // IANA name
	MetricName     string
	Statistic      string
	LocalTime      string // "2006-01-02 15:04"
	Days           string // "2006-01-02", or "2006-01-02..2006-01-05": the last day is one of them
	EventName      string // a migration.NoticeKind
	MailAddress    string
	MailTo         string // a MailAddress, or {contact}
	TopicARN       string
	DocumentName   string
)

// Bytes is a size.
type Bytes int64

// scalar is the form of a text: what the decoder accepts, the schema declares and the reference
// explains.
type scalar struct {
	want    string         // completes "want ..."
	pattern *regexp.Regexp // nil: any text
	check   func(string) error
	parse   func(string) (any, error) // nil: the text itself
	secret  bool                      // never shown in a message
	max     int                       // length in bytes; 0: 1024
}

const customerVar = "{customer}"

var scalars = map[reflect.Type]scalar{
	typeOf[Name](): {want: "a name of lower-case letters, digits and hyphens that starts with a letter or digit, at most " +
		"63 long", pattern: re(`^[a-z0-9][a-z0-9-]{0,62}$`)},
	typeOf[Text]():   {want: "text", pattern: re(`^[^\x00-\x1f\x7f]+$`)},
	typeOf[Choice](): {want: "one word"},
	typeOf[Bucket](): {want: "a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens",
		pattern: re(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)},
	typeOf[Prefix](): {want: `a prefix that ends in "/" and does not start with it`,
		pattern: re(`^([A-Za-z0-9!_.*'()=-]+/)+$`)},
	typeOf[HTTPSURL](): {want: "an https:// address without user name and password (http:// only to this machine)",
		pattern: re(`^https?://[^\s@]+$`), check: checkURL, secret: true},
	typeOf[AbsolutePath](): {want: "an absolute path", pattern: re(`^/[^\x00-\x1f]*$`), check: checkClean},
	typeOf[RelativePath](): {want: "a path relative to the plan, inside its directory",
		pattern: re(`^[^/\\\x00-\x1f][^\\\x00-\x1f]*$`), check: checkInside},
	typeOf[Thumbprint](): {want: "20 or 32 bytes in hex, separated by colons",
		pattern: re(`^([0-9A-Fa-f]{2}:){19}([0-9A-Fa-f]{2})$|^([0-9A-Fa-f]{2}:){31}([0-9A-Fa-f]{2})$`)},
	typeOf[Account](): {want: `12 digits in quotes, like "123456789012"`, pattern: re(`^[0-9]{12}$`)},
	typeOf[Region]():  {want: "a region, like us-east-1", pattern: re(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)},
	typeOf[VPC]():     {want: "a VPC id, like vpc-0a1b2c3d", pattern: re(`^vpc-[0-9a-z]+$`)},
	typeOf[Subnet]():  {want: "a subnet id, like subnet-0a1b2c3d", pattern: re(`^subnet-[0-9a-z]+$`)},
	typeOf[SecurityGroup](): {want: "a security group's id, like sg-0a1b2c3d, or its name in the target's VPC",
		pattern: re(`^[A-Za-z0-9._:/()#,@+=&;!$*-][A-Za-z0-9 ._:/()#,@+=&;!$*-]{0,254}$`)},
	typeOf[KMSKey](): {want: "a key's ARN, alias/NAME or id",
		pattern: re(
			`^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+|alias/[A-Za-z0-9/_-]+|(mrk-)?[0-9a-f]{8,}[0-9a-f-]*)$`)},
	typeOf[TagKey](): {want: "a tag key of at most 128 characters that does not start with aws: or drover",
		pattern: re(`^[A-Za-z0-9 _.:/=+@-]{1,128}$`), check: checkTagKey},
	typeOf[TagVal](): {want: "a tag value of at most 256 characters", pattern: re(`^[A-Za-z0-9 _.:/=+@-]{0,256}$`)},
	typeOf[RoleARN](): {want: "an ARN like arn:aws:iam::123456789012:role/NAME",
		pattern: re(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$`)},
	typeOf[RoleRef](): {want: "a role's name or ARN",
		pattern: re(`^(arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+|[A-Za-z0-9+=,.@_-]{1,64})$`)},
	typeOf[IAMName]():      {want: "a name of letters, digits and +=,.@_-", pattern: re(`^[A-Za-z0-9+=,.@_-]{1,128}$`)},
	typeOf[InstanceType](): {want: "auto, or a type like m7i.large", pattern: re(`^(auto|[a-z][a-z0-9-]*\.[a-z0-9-]+)$`)},
	typeOf[VMPattern]():    {want: `a pattern of VM names: "*" and "?" for any characters, [ab] and [^a-c] for one of these or none of them, and a backslash before a character that is itself meant`, pattern: re(`^[^\x00-\x1f\x7f]+$`), check: checkVMPattern},
	typeOf[PathPattern](): {want: `an ALB path pattern that starts with "/", at most 128 long`,
		pattern: re(`^/[A-Za-z0-9_.$/~"'@:+&*?-]{0,127}$`)},
	typeOf[URLPath](): {want: `a path that starts with "/"`, pattern: re(`^/[^\s\x00-\x1f]*$`)},
	typeOf[EnvName](): {want: "a variable name of letters, digits and underscores", pattern: re(`^[A-Za-z_][A-Za-z0-9_]*$`)},
	typeOf[EnvValue](): {want: "text that is no secret (put secrets under secrets)", check: checkNoSecret, secret: true,
		max: 8192},
	typeOf[AWSSecret](): {want: "a reference awssm://NAME or ssm://NAME", pattern: re(`^(awssm|ssm)://[A-Za-z0-9/_+=.@:-]+$`),
		secret: true},
	typeOf[migration.SecretRef](): {want: "a reference to a secret: env://NAME, file:///PATH, awssm://NAME or ssm://NAME",
		pattern: re(`^(env://[A-Za-z_][A-Za-z0-9_]*|file:///[^\x00-\x1f]+|(awssm|ssm)://[A-Za-z0-9/_+=.@:-]+)$`), secret: true},
	typeOf[HostPort](): {want: "HOST:PORT", pattern: re(`^[A-Za-z0-9.:\[\]-]+:[0-9]{1,5}$`), check: checkHostPort},
	typeOf[RDSName]():  {want: "an RDS instance identifier", pattern: re(`^[a-z][a-z0-9-]{0,62}$`)},
	typeOf[Column](): {want: `a column's name as the database has it, like tenant_id or tenantId; one with blanks in double quotes`,
		pattern: re(`^` + sqlName + `$`), check: checkSQLName, parse: func(s string) (any, error) { return Column(bare(s)), nil }},
	typeOf[TableName](): {want: `a table, or schema.table, as the database has it, like userAccounts or public.orders; ` +
		`a name with blanks in double quotes`,
		pattern: re(`^(` + sqlName + `\.)?` + sqlName + `$`), check: checkSQLName,
		parse: func(s string) (any, error) { return TableName(bare(s)), nil }},
	typeOf[CustomerPath](): {want: "an absolute path with " + customerVar + " as one of its folders",
		pattern: re(`^/[^\x00-\x1f]*$`), check: checkCustomerPath},
	typeOf[CustomerPrefix](): {want: "a prefix that ends in \"/\", with " + customerVar + " as one of its folders",
		pattern: re(`^[A-Za-z0-9!_.*'()={}/-]+/$`), check: checkCustomerPrefix},
	typeOf[ListenerARN](): {want: "the ARN of an ALB's listener, like " +
		"arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/NAME/ID/ID",
		pattern: re(`^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:listener/app/[A-Za-z0-9-]+/[0-9a-f]+/[0-9a-f]+$`)},
	typeOf[TargetGroupARN](): {want: "the ARN of a target group, like arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID",
		pattern: re(`^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:targetgroup/[A-Za-z0-9-]+/[0-9a-f]+$`)},
	typeOf[Host](): {want: "a host name in lower case, without * and without port, at most 128 long",
		pattern: re(`^([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`), max: 128},
	typeOf[HostedZone](): {want: "the id of a hosted zone, like Z0123456789ABCDEFGHIJ", pattern: re(`^[A-Z0-9]{1,32}$`)},
	typeOf[DNSName](): {want: "a name in DNS in lower case, without its final dot",
		pattern: re(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`), check: checkDNSName, max: 253},
	typeOf[IPv4](): {want: "an IPv4 address, like 203.0.113.7", pattern: re(`^[0-9.]{7,15}$`), check: checkIPv4},
	typeOf[FrontURL](): {want: "http:// or https://, a host and, if it is another than usual, a port",
		pattern: re(`^https?://[a-z0-9._-]+(:[0-9]{1,5})?/?$`), check: checkFront},
	typeOf[BackendName](): {want: "a name of letters, digits and ._:/~-, at most 128 long",
		pattern: re(`^[A-Za-z0-9/][A-Za-z0-9._:/~-]{0,127}$`)},
	typeOf[LabelVal](): {want: "a label of letters, digits and ._-, at most 63 long", pattern: re(`^[A-Za-z0-9._-]{1,63}$`)},
	typeOf[Zone]():     {want: "an IANA zone, like Europe/Kyiv or UTC", pattern: re(`^[A-Za-z0-9+_/-]+$`), check: checkZone},
	typeOf[LocalTime](): {want: `a local time, like "2026-12-02 22:00"`,
		pattern: re(`^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$`), check: checkLocalTime},
	typeOf[Days](): {want: `a day or days, like "2026-12-24" or "2026-12-30..2027-01-02"`,
		pattern: re(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.\.[0-9]{4}-[0-9]{2}-[0-9]{2})?$`), check: checkDays},
	typeOf[Bytes](): {want: "a size, like 50GiB (B, KiB, MiB, GiB, TiB)", pattern: re(`^[0-9]{1,12}(B|KiB|MiB|GiB|TiB)$`),
		parse: parseBytes},
	typeOf[migration.Duration](): {want: "a duration without spaces, like 500ms, 10m or 72h (units ms, s, m, h)",
		pattern: re(`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`),
		parse:   func(s string) (any, error) { d, err := time.ParseDuration(s); return migration.Duration(d), err }},
	typeOf[RateBound]():   {want: `a bound, like "<= 1x + 0.5%" or "<= 2%"`, pattern: rateBound, parse: parseRateBound},
	typeOf[NumberBound](): {want: `a bound, like "<= 1.5x", "<= 1x + 5" or "<= 10"`, pattern: numberBound, parse: parseNumberBound},
	typeOf[MetricName]():  {want: "a metric's name, like TargetResponseTime", pattern: re(`^[A-Za-z][A-Za-z0-9_]{0,254}$`)},
	typeOf[Statistic](): {want: "Sum, Average, Maximum, Minimum, SampleCount or a percentile like p95",
		pattern: re(`^(Sum|Average|Maximum|Minimum|SampleCount|p[0-9]{1,2}(\.[0-9]{1,2})?)$`)},
	typeOf[EventName](): {want: "one of " + eventNames(", "), pattern: re(`^(` + eventNames("|") + `)$`)},
	typeOf[MailAddress](): {want: "an e-mail address, like drover@example.com", pattern: re(`^[^\s@<>,;:"]+@[A-Za-z0-9.-]+$`),
		check: checkMail},
	typeOf[MailTo](): {want: "an e-mail address, or " + migration.CustomersContact + " for each customer's own",
		pattern: re(`^([^\s@<>,;:"]+@[A-Za-z0-9.-]+|\{contact\})$`), check: checkMailTo},
	typeOf[TopicARN](): {want: "the ARN of a topic, like arn:aws:sns:REGION:ACCOUNT:NAME",
		pattern: re(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$`)},
	typeOf[DocumentName](): {want: "a document's name of 3 to 128 letters, digits and ._-, or its ARN",
		pattern: re(`^(arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{0,12}:document/)?[A-Za-z0-9_.-]{3,128}$`)},
	typeOf[migration.Clock](): {want: `a time of the day, like "22:00"`, pattern: re(`^([01][0-9]|2[0-3]):[0-5][0-9]$`),
		parse: func(s string) (any, error) { var c migration.Clock; err := c.UnmarshalText([]byte(s)); return c, err }},
	typeOf[TimeBound](): {want: `a bound, like "<= 1.5x", "<= 1x + 200ms" or "<= 2s"`, pattern: timeBound, parse: parseTimeBound},
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// read turns text into a value of type t, whose row sc is. The error carries no part of the text.
func (sc scalar) read(t reflect.Type, text string) (reflect.Value, error) {
	limit := sc.max
	if limit == 0 {
		limit = 1024
	}
	if len(text) > limit {
		return reflect.Value{}, fmt.Errorf("longer than %d bytes", limit)
	}
	if sc.pattern != nil && !sc.pattern.MatchString(text) {
		return reflect.Value{}, errForm
	}
	if sc.check != nil {
		if err := sc.check(text); err != nil {
			return reflect.Value{}, err
		}
	}
	if sc.parse == nil {
		return reflect.ValueOf(text).Convert(t), nil
	}
	v, err := sc.parse(text)
	if err != nil {
		return reflect.Value{}, errForm
	}
	return reflect.ValueOf(v), nil
}

// sqlName is one name in PostgreSQL. It is not folded to lower case, with quotes or without: a plan
// has names as the catalogues have them.
const sqlName = `("[^".\x00-\x1f\x7f]+"|[^".\s\x00-\x1f\x7f]+)`

// bare is a name, or schema.table, without the quotes that may stand around its parts.
func bare(s string) string { return strings.ReplaceAll(s, `"`, "") }

// checkSQLName holds each part to the length that PostgreSQL allows (NAMEDATALEN - 1).
func checkSQLName(s string) error {
	for part := range strings.SplitSeq(bare(s), ".") {
		if len(part) > 63 {
			return errors.New("PostgreSQL's names have at most 63 bytes")
		}
	}
	return nil
}

// errForm says nothing beyond "it has not the wanted form".
var errForm = errors.New("")

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return errForm
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	if u.Scheme == "http" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("http would send the password in clear")
	}
	return nil
}

// checkDNSName keeps addresses from being taken for names.
func checkDNSName(s string) error {
	if net.ParseIP(s) != nil {
		return errors.New("an address, not a name")
	}
	return nil
}

func checkIPv4(s string) error {
	if ip := net.ParseIP(s); ip == nil || ip.To4() == nil || ip.String() != s {
		return errForm
	}
	return nil
}

func checkFront(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return errForm
	}
	if u.Port() != "" {
		return checkHostPort(u.Host)
	}
	return nil
}

func checkClean(s string) error {
	if path.Clean(s) != s {
		return fmt.Errorf("it can be written shorter; leave out . and .. and doubled or trailing slashes")
	}
	return nil
}

func checkInside(s string) error {
	if c := path.Clean(s); c == ".." || strings.HasPrefix(c, "../") {
		return errors.New("it leads out of the plan's directory")
	}
	return nil
}

func checkVMPattern(s string) error {
	if _, err := path.Match(s, ""); err != nil {
		return errors.New("a bracket is empty, not closed or has half a range, or a backslash stands at the end")
	}
	return nil
}

func checkTagKey(s string) error {
	if l := strings.ToLower(s); strings.HasPrefix(l, "aws:") || strings.HasPrefix(l, "drover") {
		return errForm
	}
	return nil
}

// credentialsIn recognises what people paste by mistake: an address with a password in it, or a
// setting of one, such as libpq's or a shell's. One that is set to a variable or to what a command
// says ($, a backquote) is no secret.
var credentialsIn = re(`(?i)://[^/\s:@]*:[^/\s@]+@|(password|secret_access_key)["']?[ \t]*[=:][ \t]*["']?[^\s"'$` + "`" +
	`]|-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b`)

func checkNoSecret(s string) error {
	if credentialsIn.MatchString(s) {
		return errors.New("it holds a secret in clear")
	}
	return nil
}

func checkHostPort(s string) error {
	h, p, err := net.SplitHostPort(s)
	if n, _ := strconv.Atoi(p); err != nil || h == "" || n < 1 || n > 65535 {
		return errForm
	}
	return nil
}

func checkCustomerPath(s string) error {
	if err := checkClean(s); err != nil {
		return err
	}
	return checkOneVar(strings.Split(s[1:], "/"))
}

func checkCustomerPrefix(s string) error {
	if strings.HasPrefix(s, "/") || path.Clean(s)+"/" != s {
		return errForm
	}
	return checkOneVar(strings.Split(strings.TrimSuffix(s, "/"), "/"))
}

// checkOneVar wants {customer} to be a whole folder: "a{customer}" would let customer "b" of one
// tree meet "ab" of another.
func checkOneVar(folders []string) error {
	n := 0
	for _, f := range folders {
		if f == customerVar {
			n++
		} else if strings.ContainsAny(f, "{}") {
			return errors.New("braces only around customer, as a whole folder")
		}
	}
	if n != 1 {
		return errForm
	}
	return nil
}

func checkZone(s string) error {
	if s == "Local" {
		return errors.New("the zone Local differs from machine to machine")
	}
	if _, err := time.LoadLocation(s); err != nil {
		return errors.New("no such zone")
	}
	return nil
}

const localTimeLayout = "2006-01-02 15:04"

func checkLocalTime(s string) error {
	switch t, err := time.Parse(localTimeLayout, s); {
	case err != nil:
		return errors.New("no such date or time")
	case t.Year() < 2000 || t.Year() > 2999: // a slip of the hand; beyond 0000 and 9999 no zone's time can be stored
		return errors.New("not in a year from 2000 to 2999")
	}
	return nil
}

func checkDays(s string) error {
	first, last, err := Days(s).days(time.UTC)
	switch {
	case err != nil:
		return errors.New("no such date")
	case first.Year() < 2000 || last.Year() > 2999:
		return errors.New("not in a year from 2000 to 2999")
	case last.Before(first):
		return errors.New("the last day comes before the first")
	}
	return nil
}

// days are the first and the last day in a zone, each at its beginning.
func (d Days) days(zone *time.Location) (first, last time.Time, err error) {
	from, to, several := strings.Cut(string(d), "..")
	if first, err = time.ParseInLocation(time.DateOnly, from, zone); err != nil || !several {
		return first, first, err
	}
	last, err = time.ParseInLocation(time.DateOnly, to, zone)
	return first, last, err
}

var byteUnits = []struct {
	unit  string
	shift uint
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}}

func parseBytes(s string) (any, error) {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(s, u.unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n <= 0 || n > (1<<62)>>u.shift {
			return nil, errForm
		}
		return Bytes(n << u.shift), nil
	}
	return nil, errForm
}
