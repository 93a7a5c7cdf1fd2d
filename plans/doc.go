// Package plans reads the YAML file a migration lead writes and compiles it to a migration.Spec.
//
// Load reports every mistake at once, each with file, line, column and node path (see Problem).
// Decoding, the JSON Schema and docs/plan-reference.md are all driven by the struct tags of Plan
// and by the table of scalars, so that they cannot disagree:
//
//	jsonschema:"required,default=..,enum=..,minimum=..,maximum=..,minItems=.."
//	jsonschema_description:"meaning"
//	bounds:"100ms..60s"   allowed range of a duration
//
// It resolves nothing outside the plan's directory: secrets, ARNs and addresses are checked for
// their form only; whether they exist is the business of preflight, on the worker that will use
// them. YAML types never leave this package.
package plans
