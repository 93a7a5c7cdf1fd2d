package lb

import (
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
)

// State is what moto says of its load balancers: GET /lab/elb.
type State struct {
	Version      int           `json:"version"`
	Listeners    []Listener    `json:"listeners"`
	TargetGroups []TargetGroup `json:"targetGroups"`
}

// Listener of a load balancer.
type Listener struct {
	ARN          string `json:"arn"`
	LoadBalancer string `json:"loadBalancer"`
	Port         int    `json:"port"`
	Rules        []Rule `json:"rules"`
}

// Rule of a listener.
type Rule struct {
	ARN        string      `json:"arn"`
	Priority   string      `json:"priority"` // a number or "default"
	Conditions []Condition `json:"conditions"`
	Forward    []Forward   `json:"forward"`
	Fixed      *Fixed      `json:"fixed"`
}

// Condition of a rule; any of its values fulfils it.
type Condition struct {
	Field  string   `json:"field"` // host-header | path-pattern
	Values []string `json:"values"`
}

// Forward is one target group of a rule.
type Forward struct {
	TargetGroup string `json:"targetGroup"`
	Weight      int    `json:"weight"`
}

// Fixed is a fixed response.
type Fixed struct {
	Status      int    `json:"status"`
	ContentType string `json:"contentType"`
	Body        string `json:"body"`
}

// TargetGroup with its registered targets.
type TargetGroup struct {
	ARN             string   `json:"arn"`
	Name            string   `json:"name"`
	Port            int      `json:"port"`
	HealthCheckPath string   `json:"healthCheckPath"`
	Targets         []Target `json:"targets"`
}

// Target of a group.
type Target struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Port    int    `json:"port"`
}

// HostPort is where a target listens.
func (t Target) HostPort() string { return net.JoinHostPort(t.Address, strconv.Itoa(t.Port)) }

// order is a rule's place: the default one comes last.
func (r Rule) order() int {
	if n, err := strconv.Atoi(r.Priority); err == nil {
		return n
	}
	return 1 << 30
}

// matches says whether all of a rule's conditions are fulfilled. Host names are compared without
// case, paths with.
func (r Rule) matches(host, path string) bool {
	for _, c := range r.Conditions {
		ok := slices.ContainsFunc(c.Values, func(v string) bool {
			switch c.Field {
			case "host-header":
				return wildcard(strings.ToLower(v), strings.ToLower(host))
			case "path-pattern":
				return wildcard(v, path)
			}
			return false
		})
		if !ok {
			return false
		}
	}
	return true
}

// wildcard matches * (any characters, none too) and ? (one character).
func wildcard(pattern, s string) bool {
	p, i, star, from := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0: // let the last star take one character more
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// pick chooses a target group by weight; "" if all weights are zero.
func pick(fs []Forward) string {
	total := 0
	for _, f := range fs {
		total += f.Weight
	}
	if total <= 0 {
		return ""
	}
	n := rand.IntN(total)
	for _, f := range fs {
		if n -= f.Weight; n < 0 {
			return f.TargetGroup
		}
	}
	return ""
}
