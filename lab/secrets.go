package lab

import "github.com/drover-migration/drover/lab/inbox"

// Secrets are the values of this lab's secrets that the product is told or reads, by what they are
// of: a test looks for them where none of them may be.
func (l *Lab) Secrets() map[string]string {
	out := map[string]string{
		"Drover's role on premises": l.drover[0].password, "Drover's role on AWS": l.drover[1].password,
		"the application's role on premises": l.app[0].password, "the application's role on AWS": l.app[1].password,
		"vCenter": vcPassword, "AWS": secretKey,
	}
	if l.Inbox != nil {
		out["webhook"], out["mail"] = inbox.Secret, inbox.Password
	}
	return out
}
