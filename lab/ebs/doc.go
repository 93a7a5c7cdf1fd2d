// Package ebs is the lab's EBS direct API: blocks in files, with the rules of AWS enforced
// (checksums, parents, keys by ARN, client tokens, idle snapshots that fail, pending until
// completed). moto keeps the record of each snapshot, so that EC2 knows it: Start and Complete are
// forwarded there.
package ebs
