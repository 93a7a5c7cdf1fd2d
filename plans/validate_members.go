package plans

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// assign freezes who belongs to which batch: as indexes into the customers, in the order in which
// they are told to go. Listed customers come first and in their order; then selections choose among
// the rest, batch after batch, those with the lowest tenants: neighbouring tenants make short
// filters, hence short freezes.
func (p *Plan) assign(report func(*node, Problem)) [][]int {
	byID, byTenant := map[Name]int{}, make([]int, len(p.Customers.List))
	for i, c := range p.Customers.List {
		if _, twice := byID[c.ID]; !twice {
			byID[c.ID] = i
		}
		byTenant[i] = i
	}
	slices.SortStableFunc(byTenant, func(a, b int) int { return cmp.Compare(p.Customers.List[a].Tenant, p.Customers.List[b].Tenant) })

	members, owner := make([][]int, len(p.Batches)), map[int]int{}
	ids := index{complete: p.idsKnown()}
	for id := range byID {
		ids.names = append(ids.names, string(id))
	}
	for i, b := range p.Batches {
		at := root.at("batches").item(i).at("customers")
		for j, id := range b.Customers.IDs {
			c, ok := byID[id]
			if !ok {
				p.unknownCustomer(at.item(j), id, ids, report)
				continue
			}
			if first, taken := owner[c]; taken {
				report(at.item(j), Problem{Message: fmt.Sprintf("customer %q is in batch %q already", id, p.Batches[first].Name),
					Want: "each customer in one batch"})
				continue
			}
			owner[c] = i
			members[i] = append(members[i], c)
		}
	}
	emptied := false // a selection that takes nobody leaves out all whom it was meant for
	for i, b := range p.Batches {
		if b.Customers.Select != nil {
			members[i] = p.choose(*b.Customers.Select, byTenant, owner, i)
			at := root.at("batches").item(i).at("customers")
			if len(members[i]) == 0 && ids.complete && !p.src.incomplete(root.at("customers")) && !p.src.incomplete(at) {
				report(at, Problem{Message: "selects no customer", Hint: "batches before it, and lists, take theirs first"})
				emptied = true
			}
		}
	}
	for i, m := range members {
		if len(m) > MaxBatchCustomers {
			report(root.at("batches").item(i).at("customers"), Problem{
				Message: fmt.Sprintf("batch %q has too many customers", p.Batches[i].Name), Found: strconv.Itoa(len(m)),
				Want: fmt.Sprintf("at most %d: Temporal lets a workflow start and signal only so many at once", MaxBatchCustomers),
				Hint: "divide them among several batches",
			})
		}
	}
	if !emptied {
		p.reportLeftOut(owner, ids, report)
	}
	return members
}

// idsKnown says whether the customers' ids are all there, whatever else of a customer is wrong.
func (p *Plan) idsKnown() bool {
	at := root.at("customers")
	if len(p.Customers.List) == 0 || p.src.incompleteKeys(at) {
		return false
	}
	return !p.src.incomplete(at) || !slices.ContainsFunc(p.Customers.List, func(c Customer) bool { return c.ID == "" })
}

// membersKnown says whether it is known whom the batches name, whatever else of a batch is wrong.
func (p *Plan) membersKnown() bool {
	at := root.at("batches")
	if len(p.Batches) == 0 || p.src.incompleteKeys(at) {
		return false
	}
	for i := range p.Batches {
		if p.src.incomplete(at.item(i).at("customers")) {
			return false
		}
	}
	return true
}

// mostHints is up to how many problems a customer is looked for among all that was meant: who
// mistypes more has mistyped them alike, and each look is at every customer.
const mostHints = 200

func (p *Plan) unknownCustomer(at *node, id Name, ids index, report func(*node, Problem)) {
	if id == "" || !ids.complete {
		return
	}
	missing := Problem{Message: "no such customer", Found: quoted(string(id)), Want: "the id of a customer"}
	if len(p.src.problems) < mostHints {
		missing.Hint = didYouMean(string(id), ids.names)
	}
	report(at, missing)
}

func (p *Plan) choose(s Selection, byTenant []int, owner map[int]int, batch int) (out []int) {
	for _, c := range byTenant {
		if s.Count > 0 && len(out) == s.Count {
			break
		}
		if _, taken := owner[c]; taken || !s.matches(p.Customers.List[c]) {
			continue
		}
		owner[c] = batch
		out = append(out, c)
	}
	return out
}

func (s Selection) matches(c Customer) bool {
	for k, v := range s.Labels {
		if c.Labels[k] != v {
			return false
		}
	}
	return true
}

// reportLeftOut names the customers of no batch: to forget one is the mistake that nobody would
// notice.
func (p *Plan) reportLeftOut(owner map[int]int, ids index, report func(*node, Problem)) {
	if !ids.complete || !p.membersKnown() {
		return
	}
	for i, c := range p.Customers.List {
		at := root.at("customers").item(i)
		if _, in := owner[i]; !in && c.ID != "" && !p.src.incomplete(at) { // else a selection might take it
			report(at, Problem{Message: fmt.Sprintf("customer %q is in no batch", c.ID), Want: "it in a batch, or out of the plan",
				Hint: "a last batch with customers: {} takes all who are left"})
		}
	}
}
