package board

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// PageSize is how many customers a page shows.
const PageSize = 240

// longestSearch is how much of what somebody searches for counts, in characters: each word is
// looked for in every customer.
const longestSearch = 200

// Filter says which customers a page shows. It is the query of the page's address.
type Filter struct {
	Text   string // in id, name, batch, hosts, labels, contact or reason
	State  State
	Batch  string
	Label  string // "key:value"
	Owner  string // the customer's contact
	PageNo int    // from 1
}

// ReadFilter reads the query of an address. What it does not know it leaves out.
func ReadFilter(q url.Values) Filter {
	text := []rune(q.Get("q"))
	f := Filter{Text: strings.TrimSpace(string(text[:min(len(text), longestSearch)])),
		State: State(q.Get("state")), Batch: q.Get("batch"), Label: q.Get("label"),
		Owner: q.Get("owner"), PageNo: 1}
	if !slices.Contains(States, f.State) {
		f.State = ""
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 0 {
		f.PageNo = n
	}
	return f
}

// Query is the filter as an address has it, without what is not set; it begins with "?" or is
// empty.
func (f Filter) Query() string {
	q := url.Values{}
	for _, p := range []struct{ key, value string }{
		{"q", f.Text}, {"state", string(f.State)}, {"batch", f.Batch}, {"label", f.Label}, {"owner", f.Owner},
	} {
		if p.value != "" {
			q.Set(p.key, p.value)
		}
	}
	if f.PageNo > 1 {
		q.Set("page", strconv.Itoa(f.PageNo))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Empty says whether the filter lets every customer through.
func (f Filter) Empty() bool {
	f.PageNo = 0
	return f == Filter{}
}

// Page is what a filter found.
type Page struct {
	Customers []Customer
	Found     int // on all pages
	No, Of    int // this page and how many there are, from 1
}

// Find gives the customers that a filter lets through, in the plan's order, one page of them.
// A page past the end is the last one.
func (s *Snapshot) Find(f Filter) Page {
	found := s.All(f)
	p := Page{Found: len(found), Of: max(1, (len(found)+PageSize-1)/PageSize)}
	p.No = min(max(1, f.PageNo), p.Of)
	from := (p.No - 1) * PageSize
	p.Customers = found[from:min(len(found), from+PageSize)]
	return p
}

// All gives the customers that a filter lets through, on all pages.
func (s *Snapshot) All(f Filter) []Customer {
	if f.Empty() {
		return s.Customers
	}
	words := strings.Fields(strings.ToLower(f.Text))
	var out []Customer
	for _, c := range s.Customers {
		if f.lets(c, words) {
			out = append(out, c)
		}
	}
	return out
}

func (f Filter) lets(c Customer, words []string) bool {
	key, value, _ := strings.Cut(f.Label, ":")
	switch {
	case f.State != "" && c.State() != f.State,
		f.Batch != "" && c.Status.Batch != f.Batch,
		f.Owner != "" && c.Spec.Contact != f.Owner,
		f.Label != "" && c.Spec.Labels[key] != value:
		return false
	}
	for _, w := range words {
		if !strings.Contains(c.text, w) {
			return false
		}
	}
	return true
}

// Choices are the values that the page offers to filter by.
type Choices struct {
	Labels []string // "key:value"
	Owners []string
}

// choicesOf lists the labels and the contacts of customers, each once, sorted.
func choicesOf(customers []Customer) Choices {
	labels, owners := map[string]bool{}, map[string]bool{}
	for _, c := range customers {
		for k, v := range c.Spec.Labels {
			labels[k+":"+v] = true
		}
		if c.Spec.Contact != "" {
			owners[c.Spec.Contact] = true
		}
	}
	return Choices{Labels: sorted(labels), Owners: sorted(owners)}
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for v := range set {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}
