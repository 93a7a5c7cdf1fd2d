package plans

import "github.com/drover-migration/drover/migration"

// Probe is one question asked again and again: exactly one of its kinds.
type Probe struct {
	HTTP        *HTTPProbe         `json:"http,omitempty" jsonschema_description:"Ask for a page, with the customer's host name. {} for its defaults."`
	TCP         *Nothing           `json:"tcp,omitempty" jsonschema_description:"Open a connection to the workload's port. Write {}."`
	TargetGroup *Nothing           `json:"targetGroup,omitempty" jsonschema_description:"Want every target of the workload's target group healthy. Write {}."`
	Write       *WriteProbe        `json:"write,omitempty" jsonschema_description:"Write through the application, for a tenant made up for it, and take that away again: a side that takes no writes is not healthy."`
	Query       *QueryProbe        `json:"query,omitempty" jsonschema_description:"Hold a number that others count within a bound. A number that cannot be had counts neither way."`
	Every       migration.Duration `json:"every,omitempty" jsonschema:"default=500ms" bounds:"100ms..1h" jsonschema_description:"Time between two samples. Customers of one machine share a write, those of one query its number."`
	Timeout     migration.Duration `json:"timeout,omitempty" jsonschema:"default=1s" bounds:"10ms..1m" jsonschema_description:"A sample without an answer by then has failed. A query has 10s."`
	FailAfter   int                `json:"failAfter,omitempty" jsonschema:"default=3,minimum=1,maximum=1000" jsonschema_description:"Failures in a row that make the verdict fail."`
}

// Nothing is a kind without settings.
type Nothing struct{}

// HTTPProbe asks for a page.
type HTTPProbe struct {
	Path   URLPath `json:"path,omitempty" jsonschema:"default=/healthz" jsonschema_description:"Path, with its query if any. Each customer must use a workload whose ingress.paths take it; the most specific is asked."`
	Expect int     `json:"expect,omitempty" jsonschema:"default=200,minimum=100,maximum=599" jsonschema_description:"Status code of a good answer."`
}

// WriteProbe writes for a tenant that is no customer's. It is sent to every machine of the workload
// itself, not through the route.
type WriteProbe struct {
	Tenant  int64   `json:"tenant" jsonschema:"required,minimum=1,maximum=2147483647" jsonschema_description:"A tenant that the application knows and that is no customer's. It may write on both sides whatever is moved; what it writes where newcomers do not write stays there."`
	Host    Host    `json:"host" jsonschema:"required" jsonschema_description:"Host name by which the application knows that tenant. Requests go to each machine directly: it needs neither DNS nor a route."`
	Method  Choice  `json:"method,omitempty" jsonschema:"enum=POST,enum=PUT,enum=PATCH,default=POST" jsonschema_description:"Method of the write."`
	Path    URLPath `json:"path" jsonschema:"required" jsonschema_description:"Path of the write. Here, in body and in cleanup.path {token} stands for an id (a UUID) of its own for each write."`
	Type    Text    `json:"type,omitempty" jsonschema:"default=application/json" jsonschema_description:"Content type of the body."`
	Body    Text    `json:"body,omitempty" jsonschema_description:"Body of the write. Never a secret."`
	Expect  int     `json:"expect,omitempty" jsonschema:"default=201,minimum=100,maximum=599" jsonschema_description:"Status code of a write that was taken."`
	Cleanup Cleanup `json:"cleanup" jsonschema:"required" jsonschema_description:"Request that takes away what was written, sent after each write. An answer of 2xx or 404 is good; any other fails the sample. Only a worker that is killed between the two leaves a write of this tenant behind."`
}

// Cleanup takes a write away again.
type Cleanup struct {
	Method Choice  `json:"method,omitempty" jsonschema:"enum=DELETE,enum=POST,enum=PUT,enum=PATCH,default=DELETE" jsonschema_description:"Method."`
	Path   URLPath `json:"path" jsonschema:"required" jsonschema_description:"Path."`
}

// QueryProbe holds a number within a bound.
type QueryProbe struct {
	CloudWatch *CloudWatchQuery `json:"cloudwatch,omitempty" jsonschema_description:"A metric of the load balancer: of the target groups of the customer's workloads the largest number counts. This or prometheus."`
	Prometheus *PrometheusQuery `json:"prometheus,omitempty" jsonschema_description:"A query to a Prometheus that the main worker reaches. This or cloudwatch."`
	Bound      NumberBound      `json:"bound" jsonschema:"required" jsonschema_description:"What the number on AWS may be; x is the customer's own number at home, measured before its fence. Without x it is an absolute bound, which is held during the soak too."`
}

// CloudWatchQuery is a metric of AWS/ApplicationELB.
type CloudWatchQuery struct {
	Metric    MetricName         `json:"metric" jsonschema:"required" jsonschema_description:"Metric of namespace AWS/ApplicationELB that target groups have, like TargetResponseTime or HTTPCode_Target_5XX_Count."`
	Statistic Statistic          `json:"statistic" jsonschema:"required" jsonschema_description:"Statistic. A Sum or SampleCount without a value is 0; any other is no number."`
	Over      migration.Duration `json:"over,omitempty" jsonschema:"default=1m" bounds:"1m..1h" jsonschema_description:"Period, in whole minutes."`
}

// PrometheusQuery is an instant query.
type PrometheusQuery struct {
	URL   HTTPSURL            `json:"url" jsonschema:"required" jsonschema_description:"Address of Prometheus, without /api/v1."`
	Query Text                `json:"query" jsonschema:"required" jsonschema_description:"PromQL that answers one number; {customer}, {tenant}, {host} and {side} (onprem or aws) are put in. An empty answer is no number: add or vector(0) where it means 0."`
	Token migration.SecretRef `json:"token,omitempty" jsonschema_description:"Bearer token."`
}

func (p Probe) compile() migration.Probe {
	c := migration.Probe{Every: p.Every, Timeout: p.Timeout, FailAfter: p.FailAfter}
	switch {
	case p.HTTP != nil:
		c.HTTP = &migration.HTTPProbe{Path: string(p.HTTP.Path), Expect: p.HTTP.Expect}
	case p.TCP != nil:
		c.TCP = &migration.TCPProbe{}
	case p.Write != nil:
		w := p.Write
		c.Write = &migration.WriteProbe{Tenant: w.Tenant, Host: string(w.Host), Method: string(w.Method), Path: string(w.Path),
			Type: string(w.Type), Body: string(w.Body), Expect: w.Expect,
			Cleanup: migration.Cleanup{Method: string(w.Cleanup.Method), Path: string(w.Cleanup.Path)}}
	case p.Query != nil:
		c.Query = p.Query.compile()
	default:
		c.TargetGroup = &migration.TargetGroupProbe{}
	}
	return c
}

func (q QueryProbe) compile() *migration.QueryProbe {
	out := &migration.QueryProbe{Bound: migration.Bound(q.Bound), Prometheus: q.Prometheus.compile()}
	if c := q.CloudWatch; c != nil {
		out.CloudWatch = &migration.CloudWatchQuery{Metric: string(c.Metric), Statistic: string(c.Statistic), Over: c.Over}
	}
	return out
}

func (r Requests) compile() *migration.RequestQueries {
	return &migration.RequestQueries{Failed: r.Failed.compile(), Retried: r.Retried.compile()}
}

func (c *Count) compile() *migration.CountQuery {
	if c == nil {
		return nil
	}
	out := &migration.CountQuery{Prometheus: c.Prometheus.compile()}
	if c.CloudWatch != nil {
		out.CloudWatch = &migration.CloudWatchQuery{Metric: string(c.CloudWatch.Metric), Statistic: "Sum"}
	}
	return out
}

func (p *PrometheusQuery) compile() *migration.PrometheusQuery {
	if p == nil {
		return nil
	}
	return &migration.PrometheusQuery{URL: string(p.URL), Query: string(p.Query), Token: p.Token}
}

// synthetic are the tenants that write probes write for.
func (h Health) synthetic() (out []int64) {
	for _, p := range h.Probes {
		if p.Write != nil {
			out = append(out, p.Write.Tenant)
		}
	}
	return out
}
