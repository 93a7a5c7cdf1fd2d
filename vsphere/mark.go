package vsphere

import (
	"context"
	"fmt"
	"net/http"

	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"

	"github.com/drover-migration/drover/migration"
)

// Retired is the tag of machines that Drover shut down for good, in its category. Whoever looks at
// such a machine in vCenter sees that nothing is to start it again.
const (
	Retired         = "retired-by-drover"
	retiredCategory = "drover"
)

// MarkRetired tags a machine as Retired. Category and tag are made where they are not there. Twice
// is once, and so is another worker at the same time.
func (s *Session) MarkRetired(ctx context.Context, vm migration.VM) error {
	c := rest.NewClient(s.Client)
	if err := s.logInTo(ctx, "tagging service", c.Login); err != nil {
		return err
	}
	defer func() { _ = c.Logout(context.WithoutCancel(ctx)) }()
	m := tags.NewManager(c)
	category, err := findOrMake(retiredCategory, func() (string, error) {
		c, err := m.GetCategory(ctx, retiredCategory)
		if err != nil {
			return "", err
		}
		return c.ID, nil
	}, func() (string, error) {
		return m.CreateCategory(ctx, &tags.Category{Name: retiredCategory, Cardinality: "MULTIPLE",
			AssociableTypes: []string{"VirtualMachine"}, Description: "What Drover has done with a machine"})
	})
	if err != nil {
		return wrap(err, "tag VM %q as %s", vm.Name, Retired)
	}
	tag, err := findOrMake(Retired, func() (string, error) {
		t, err := m.GetTagForCategory(ctx, Retired, category)
		if err != nil {
			return "", err
		}
		return t.ID, nil
	}, func() (string, error) {
		return m.CreateTag(ctx, &tags.Tag{Name: Retired, CategoryID: category,
			Description: "Shut down by Drover when the way back of its customers ended. It can be deleted."})
	})
	if err == nil {
		err = m.AttachTag(ctx, tag, s.machine(vm).Reference())
	}
	return wrap(err, "tag VM %q as %s", vm.Name, Retired)
}

// findOrMake finds a thing of the tagging service or makes it. Where somebody else has made it at
// the same time, the making is refused, and it is found after all.
func findOrMake(what string, look, create func() (string, error)) (string, error) {
	if id, err := look(); err == nil {
		return id, nil
	}
	id, err := create()
	if err == nil {
		return id, nil
	}
	if rest.IsStatusError(err, http.StatusBadRequest) || rest.IsStatusError(err, http.StatusConflict) {
		if id, lerr := look(); lerr == nil {
			return id, nil
		}
	}
	return "", fmt.Errorf("make %s: %w", what, err)
}
