package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web"
)

// offered are the commands that would be accepted now, as they are typed. mayDo is what the status
// of the plan, the batch or the customer names.
func offered(at client.Aim, mayDo []string) (out []string) {
	for _, o := range web.Offers(at, mayDo) {
		out = append(out, o.Command)
	}
	if at == (client.Aim{Plan: at.Plan}) && slices.Contains(mayDo, migration.UpdateAbort) { // which is on no page
		out = append(out, "drover abort "+at.Plan)
	}
	return out
}

// ofCustomer are those of some commands that a customer's status offers. A deferral is accepted
// once.
func (g glance) ofCustomer(c migration.CustomerStatus, names ...string) []string {
	may := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(c.MayDo, name) })
	out := offered(client.Aim{Plan: g.plan, Customer: c.ID}, may)
	if d := c.Deferral; d != nil && d.Decided != nil {
		out = slices.DeleteFunc(out, func(s string) bool { return strings.HasSuffix(s, " --accept") })
	}
	return out
}

// mostCommands is how many commands a look lists: those to a plan's many batches are the same.
const mostCommands = 12

// mayDo lists commands, ready to be pasted.
func (g glance) mayDo(indent string, commands []string) string {
	if len(commands) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(indent + "may be done now:\n")
	for i, c := range commands {
		if i == mostCommands {
			fmt.Fprintf(&b, "%s  and %d more: see --batch NAME\n", indent, len(commands)-i)
			break
		}
		if g.by != "" {
			c += " --by " + quoted(g.by)
		}
		b.WriteString(typed(indent+"  ", c))
	}
	return b.String()
}

// typed is a command for a shell. One that is wider than the terminal is broken between its flags,
// and stays one command when it is pasted.
func typed(indent, command string) string {
	var b strings.Builder
	line := indent
	for i, part := range strings.Split(command, " --") {
		if i > 0 {
			part = " --" + part
		}
		if i > 0 && len([]rune(line))+len([]rune(part))+len(" \\") > printer.Width {
			b.WriteString(line + " \\\n")
			line = indent + " "
		}
		line += part
	}
	return b.String() + line + "\n"
}
