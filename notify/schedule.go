package notify

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Scheduled are the notices that the clock brings, of every customer whose batch has a window and
// that some rule covers, in the order of their time.
func Scheduled(s *migration.Spec) []migration.Notice {
	if s.Notify == nil {
		return nil
	}
	var out []migration.Notice
	for _, b := range s.Batches {
		if b.Window == nil {
			continue
		}
		for _, id := range b.Customers {
			c, ok := s.Customer(id)
			if !ok {
				continue
			}
			for _, k := range migration.NoticeKinds {
				covers := func(r migration.NotifyRule) bool { return r.Covers(k, b.Name, &c) }
				if k.Scheduled() && slices.ContainsFunc(s.Notify.Rules, covers) {
					out = append(out, migration.Notice{
						// a window that is moved makes new ones
						ID:   fmt.Sprintf("%s/%s/%d", k, id, b.Window.Opens.Unix()),
						Kind: k, Batch: b.Name, Customer: id, At: before(k, *b.Window, firstZone(c.Zone, s.Notify.Zone)).UTC(),
					})
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b migration.Notice) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return out
}

// before is when a notice is due before a window opens, by the customer's clock.
func before(k migration.NoticeKind, w migration.Window, zone *time.Location) time.Time {
	opens := w.Opens.In(zone)
	switch k {
	case migration.NoticeTwoWeeks:
		return opens.AddDate(0, 0, -14)
	case migration.NoticeTwoDays:
		return opens.AddDate(0, 0, -2)
	default:
		return time.Date(opens.Year(), opens.Month(), opens.Day()-1, migration.EveningHour, 0, 0, 0, zone)
	}
}

// Preview is every message that a plan can send: those that the clock brings with their times, the
// others with what is not known yet left open. By customer and batch, in the order of the plan.
func Preview(s *migration.Spec) ([]migration.Message, error) {
	if s.Notify == nil {
		return nil, nil
	}
	var out []migration.Message
	add := func(n migration.Notice) error {
		all, err := Compose(s, n)
		out = append(out, all...)
		return err
	}
	at := map[string][]migration.Notice{} // by customer
	for _, n := range Scheduled(s) {
		at[n.Customer] = append(at[n.Customer], n)
	}
	for _, b := range s.Batches {
		for _, id := range b.Customers {
			notices := at[id]
			for _, k := range migration.NoticeKinds {
				if k.OfCustomer() && !k.Scheduled() {
					notices = append(notices, migration.Notice{ID: string(k) + "/" + id, Kind: k, Batch: b.Name, Customer: id})
				}
			}
			for _, n := range notices {
				if err := add(n); err != nil {
					return nil, err
				}
			}
		}
		for _, k := range migration.NoticeKinds {
			if !k.OfCustomer() && !k.OfMigration() {
				if err := add(migration.Notice{ID: string(k) + "/" + b.Name, Kind: k, Batch: b.Name}); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, k := range migration.NoticeKinds {
		if k.OfMigration() {
			if err := add(migration.Notice{ID: string(k), Kind: k}); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
