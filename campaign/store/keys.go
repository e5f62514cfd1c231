package store

import (
	"fmt"
	"slices"
	"strconv"

	"campaign-runner/campaign"
)

// Keys of one campaign. The braces put all of them into one hash slot, so that one
// script can change them together on a cluster too.
func keyCampaign(name string) string { return "c:{" + name + "}" } // hash: settings, phase, counts, load, notices

func keyOpen(name string) string            { return keyCampaign(name) + ":open" }             // sorted set: chunks by the time they are due
func keyRungs(name string) string           { return keyCampaign(name) + ":rungs" }            // sorted set: chunks whose contacts may have a rung to come, by when they are looked at
func keyRungsSeen(name string) string       { return keyCampaign(name) + ":rungs_seen" }       // hash: what was found, by chunk
func keyTally(name string) string           { return keyCampaign(name) + ":tally" }            // hash: contacts by state, reason and doubt
func keyReasons(name string) string         { return keyCampaign(name) + ":reasons" }          // hash: texts by code, and codes by text
func keySeries(name string) string          { return keyCampaign(name) + ":series" }           // list: samples of the tally
func keyLog(name string) string             { return keyCampaign(name) + ":log" }              // stream: decisions about the campaign
func keyChunksLog(name string) string       { return keyCampaign(name) + ":log:chunks" }       // stream: changes to chunks
func keyWindow(name string) string          { return keyCampaign(name) + ":window" }           // string: the latest verdicts, for the guard
func keyCohorts(name string) string         { return keyCampaign(name) + ":cohorts" }          // hash: what was told of the latest contacts, for the guards of the answers
func keyDay(name string) string             { return keyCampaign(name) + ":day" }              // hash: contacts begun today
func keyRejects(name string) string         { return keyCampaign(name) + ":rejects" }          // list: parts of the rejects file, compressed
func keyAppendedRejects(name string) string { return keyRejects(name) + ":append" }            // list: those of an unfinished append
func keyIndex(name string) string           { return keyCampaign(name) + ":idx" }              // hash: ordinals by number, in buckets
func keyConversations(name string) string   { return keyCampaign(name) + ":conv" }             // hash: ordinals by conversation, in buckets
func keyExtractionKeys(name string) string  { return keyCampaign(name) + ":extraction_keys" }  // set
func keyUnmatched(name string) string       { return keyCampaign(name) + ":unmatched" }        // sorted set: events by time
func keyUnmatchedCounts(name string) string { return keyCampaign(name) + ":unmatched_counts" } // hash: unmatched, matched, bytes, dropped, dropped_bytes
func keyTicketsDue(name string) string      { return keyCampaign(name) + ":tickets_due" }      // sorted set: chunk/index by time
func keyFollowsDue(name string) string      { return keyCampaign(name) + ":follows_due" }      // sorted set: chunk/index by time
func keyTicketTally(name string) string     { return keyCampaign(name) + ":ticket_tally" }     // hash: tickets by state

func keyChunk(r Ref) string     { return r.key("k") }       // hash: rows, claim, claim_until, seq, version, told, requests
func keyLedger(r Ref) string    { return r.key("l") }       // string: a record of campaign.RecordSize bytes per contact
func keyOutcomes(r Ref) string  { return r.key("out") }     // hash: outcomes by index
func keyHistories(r Ref) string { return r.key("hist") }    // hash: conversations by index; an export does not read them
func keyTickets(r Ref) string   { return r.key("tickets") } // hash: tickets by index
func keyFollows(r Ref) string   { return r.key("follows") } // hash: what goes on about tickets, by index

func (r Ref) key(kind string) string {
	return fmt.Sprintf("%s:%s:%d", keyCampaign(r.Campaign), kind, r.Chunk)
}

// A new key of a campaign goes into one of these lists. Purge deletes it if what it
// holds can identify a person.
var (
	keptKeys = []func(name string) string{keyCampaign, keyTally, keyReasons, keyUnmatchedCounts, keySeries, keyLog, keyWindow, keyCohorts, keyDay, keyTicketTally}

	personalKeys = []func(name string) string{
		keyOpen, keyRungs, keyRungsSeen, keyIndex, keyRejects, keyAppendedRejects, keyExtractionKeys, keyUnmatched, keyConversations, keyChunksLog, keyTicketsDue, keyFollowsDue,
	}
	personalChunkKeys = []func(Ref) string{keyChunk, keyLedger, keyOutcomes, keyHistories, keyTickets, keyFollows}
)

func keysOf(name string, kinds ...[]func(string) string) (keys []string) {
	for _, key := range slices.Concat(kinds...) {
		keys = append(keys, key(name))
	}
	return keys
}

// Keys that all campaigns share.
const (
	keyCampaigns      = "campaigns"       // sorted set: names by the time their load began
	keyLive           = "live"            // sorted set: names by when they must be looked at
	keyWorkers        = "workers"         // set of ids; ForgetWorkers removes the dead
	keyEvents         = "events"          // stream: events that wait to be applied
	keyEventBytes     = "{events}:bytes"  // string: what they take; the braces put it into the stream's slot
	keyWishes         = "{wishes}"        // hash: open wishes by id; the braces keep both in one slot
	keyClosedWishes   = "{wishes}:closed" // sorted set: ids by time
	keySuppressionLog = "suppressed:log"  // stream: changes of the do-not-contact list, without numbers
	keyPolicy         = "policy"          // hash: see Policy
	keyNoticesSince   = "notices:since"   // string: when notices were first asked for
	keyContactedDays  = "contacted:days"  // hash: its fields are the days in the contact record
	keyReservations   = "reach"           // hash: the Owner of the right to contact a person now, by number
	keyUsers          = "pages:users"     // hash: users of the pages, by users.Key of their name
	keyDrafts         = "{drafts}"        // sorted set: ids of drafts by when they end; the braces keep all of drafts in one slot
	keyDraftBytes     = "{drafts}:bytes"  // hash: what each draft takes, by id
)

func keyDraft(id string) string         { return keyDrafts + ":" + id }       // hash with a TTL: who makes a campaign of which file, and its settings so far
func keyDraftFile(id string) string     { return keyDraft(id) + ":file" }     // hash with a TTL: the parts of the file by their place, compressed
func keyDraftLaunches(id string) string { return keyDraft(id) + ":launches" } // set with a TTL: launches of the draft that may be under way

func keySession(id string) string { return "pages:session:" + id } // string with a TTL: a session of the pages
func keyGuesses(of string) string { return "pages:guesses:" + of } // string with a TTL: when as many guesses as are allowed will be again

func keyWorker(id string) string  { return "worker:" + id }  // string with a TTL: the heartbeat
func keySeen(agent string) string { return "seen:" + agent } // hash: what the agent was ever answered
func keyLease(work string) string { return "lease:" + work } // string with a TTL: the holder

// keyApplied counts a campaign's applied events. It is in the stream's slot, so that an
// event is counted when it is deleted, and only then. It is a string with a TTL.
func keyApplied(name string) string { return "{events}:applied:" + name }

// fieldReservation is a person's field in keyReservations.
func fieldReservation(phone campaign.Phone) string {
	return strconv.FormatUint(uint64(phone.Person()), 10)
}

// doNotContact is the do-not-contact list. Numbers are kept as given, so that the
// list can be dialled; a look-up tries both spellings where a country has two.
func (s *Store) doNotContact() phoneSet { return phoneSet{s.rdb, "suppressed"} }

// contacted is one day of the contact record, counted from 1970 in UTC.
func (s *Store) contacted(day int64) phoneSet {
	return phoneSet{s.rdb, "contacted:" + strconv.FormatInt(day, 10)}
}
