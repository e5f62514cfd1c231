package campaign

import "campaign-runner/campaign/hours"

// english is what every code says, with its parameters in braces. Codes and the names
// of their parameters are stored: they never change. Texts may.
var english = make(map[Code]string)

func define(name, text string) Code {
	code := Code{name}
	english[code] = text
	return code
}

// whole are the codes that need no words before them.
var whole = map[Code]bool{}

func defineWhole(name, text string) Code {
	code := define(name, text)
	whole[code] = true
	return code
}

// Why a contact is in its state.
var (
	MsgNoAnswer     = define("no_answer", "no answer: the request may have been carried out")
	MsgSenderDied   = define("sender_died", "the sender died: the request may have been carried out")
	MsgConfirmed    = define("confirmed", "confirmed by hand")
	MsgUsedUp       = define("used_up", "its attempts over all runs are used up: {attempts}")
	MsgLate         = define("late", "not sent by {end}, when the campaign was to finish")
	MsgNoZone       = define("no_zone", hours.NoZoneReason)
	MsgNeverMeet    = define("never_meet", "the hours of {zone} never meet")
	MsgHours        = define("hours", "waits for its hours in {zone}")
	MsgContested    = define("contested", "another request with this number is on its way")
	MsgDoNotContact = define("do_not_contact", "on the do-not-contact list")
	MsgErased       = define("erased", "erased on request")
	MsgRecent       = define("recent", "contacted within the last {days} days")
	MsgLimits       = define("limits", "contacted as often as its rules allow for now")
	MsgOther        = define("other", "other") // the campaign has no room for more reasons
	MsgLostReason   = define("lost_reason", "reason {code}")
)

// NeedsPerson reports whether a contact that is pending for this reason waits until a
// person changes something.
func (m Message) NeedsPerson() bool { return m.Is(MsgNoZone) || m.Is(MsgNeverMeet) }

// Why nothing of a request was sent.
var (
	MsgNotSent     = define("not_sent", "not sent: no connection to the platform")
	MsgCertificate = define("not_sent_certificate", "not sent: no connection to the platform: its certificate is not trusted, or has expired")
	MsgNoName      = define("not_sent_name", "not sent: no connection to the platform: DNS does not know its name; check VELENTS_URL")
	MsgRefused     = define("not_sent_refused", "not sent: no connection to the platform: connection refused; check VELENTS_URL")
	MsgBadProxy    = define("not_sent_proxy", "not sent: no connection to the platform: the proxy is not reached, or lets nothing through; check HTTPS_PROXY")
	MsgTooSlow     = define("not_sent_slow", "not sent: no connection to the platform: timeout while connecting")
	MsgNoTLS       = define("not_sent_tls", "not sent: no connection to the platform: it does not speak TLS there; check VELENTS_URL")
	MsgClosed      = define("not_sent_closed", "not sent: no connection to the platform: the connection had ended before")
	MsgUnreachable = define("not_sent_unreachable", "not sent: no connection to the platform: it is not reached")
)

// Why a campaign is paused or waits for a person.
var (
	MsgByPerson      = define("by_person", "by a person")
	MsgWithOthers    = define("with_others", "{reason}, together with other campaigns")
	MsgAnswers       = define("answers", "the platform answers {answer}; {advice}")
	MsgCheckToken    = define("check_token", "check the agent's token")
	MsgCheckAccount  = define("check_account", "check the account")
	MsgCheckProxy    = define("check_proxy", "check HTTPS_PROXY")
	MsgCheckURL      = define("check_url", "check VELENTS_URL")
	MsgRefuses       = define("refuses", "the platform refuses the request: {answer}")
	MsgVague         = define("vague", "the platform refused {contacts} contacts one after the other without saying why: {answer}")
	MsgGuard         = define("guard", "too many of the latest contacts were rejected, failed or unconfirmed")
	MsgGuardTold     = define("guard_told", "more than {share} of the latest {contacts} contacts were not accepted: {states}; {places:; }")
	MsgTooManyOut    = define("guard_optout", "{some} of the latest {contacts} contacts opted out, {share}, allowed {limit}; {first}")
	MsgTooFewAnswer  = define("guard_answer", "{some} of the latest {contacts} contacts answered, {share}, wanted {limit}; {ended} of their conversations have ended; {first}")
	MsgDeaf          = define("deaf", "none: it was launched without WEBHOOK_URL, so nobody learns who answers or opts out")
	MsgUnlinked      = define("unlinked", "not all: a worker that sends it has no WEBHOOK_SECRET, so nobody learns who answers it or opts out")
	MsgTooSilent     = define("guard_silence", "{contacts} contacts were accepted since the last event of a conversation, and none has come for {time}, allowed {limit}; check WEBHOOK_URL, and whether the platform reaches it")
	MsgFirst         = define("guard_first", "of the first {contacts}, {answered} answered and {opted} opted out; of these, {latest_answered} answered and {latest_opted} opted out")
	MsgFirstSame     = define("guard_first_same", "they are among its first, so there is nothing to compare them with")
	MsgFirstSettings = define("guard_first_settings", "{first}; its settings have changed since: {changes:; }")
	MsgCanary        = define("canary", "canary of {contacts}: {states}")
	MsgMissedStart   = define("missed_start", "it was to start at {start}, and nothing was there to start it within {lateness}")
	MsgLateApproval  = define("late_approval", "it was to start at {start}, and was approved more than {lateness} later")
	MsgLostWrites    = define("lost_writes", "Redis has lost writes: chunk {chunk} is older than what worker {worker} wrote. "+
		"Contacts that are pending in it may have been contacted; look up the batches {campaign}/{chunk}/… in the platform's dashboard before you resume or cancel")
)

// Parts of these: contacts by state and reason, and where they are.
var (
	MsgState       = define("state", "{contacts} {state}")
	MsgStateWhy    = define("state_why", "{contacts} {state} ({reasons:; })")
	MsgReason      = define("reason", "{contacts} {reason}")
	MsgMoreReasons = define("more_reasons", "{reasons} other reasons")
	MsgLines       = define("lines", "chunk {chunk}: lines {places}")
	MsgPlaces      = define("places", "chunk {chunk}: contacts {places}")
	MsgAndMore     = define("and_more", "{some} and {more} more")
	MsgMoreChunks  = define("more_chunks", "and in {chunks} more chunks")
)

// What the log says of a decision.
var (
	MsgLoaded         = define("loaded", "{file}: {contacts} contacts of {rows} rows")
	MsgTime           = define("time", "its time has come")
	MsgApproved       = define("approved", "{contacts:contact|contacts}; it was made or changed by {makers}")
	MsgTakenBack      = define("taken_back", "not sent: whether it had begun was not known")
	MsgVagueTakenBack = define("vague_taken_back", "refused one after the other: taken back")
	MsgKept           = define("kept", "kept for {days} days")
	MsgSettings       = define("settings", "{changes:; }")
	MsgSetting        = define("setting", "{setting}: {to}, was {from}")
	MsgSent           = define("resolved_sent", "the platform has them")
	MsgNeverSeen      = define("resolved_never_seen", "the platform never saw them")
	MsgOfChunk        = define("of_chunk", "{what}: chunk {chunk}")
	MsgSelection      = define("selection", "{parts: }")
	MsgWithReason     = define("with_reason", "with {reason} in their reason")
	MsgWhere          = define("where", "where {rule}")
	MsgLimited        = define("limited", "at most {contacts:contact|contacts}")
	MsgCanaryOf       = define("canary_of", "a canary of {contacts:contact|contacts}")
	MsgStartsAt       = define("starts_at", "from {start:moment} on")
)

// Why a ticket is in its state.
var (
	MsgTicketLost    = define("ticket_lost", "the worker died: the request may have been carried out")
	MsgTicketFound   = define("ticket_found", "found in the Support Center: the answer was lost")
	MsgTicketUnnamed = define("ticket_unnamed", "the Support Center did not name it")
	MsgTicketRefused = define("ticket_refused", "the Support Center refuses: {answer}; check VELENTS_SUPPORT_TOKEN, its abilities and VELENTS_URL")
)

// Why an event belongs to nobody, or the wish in one is still open.
var (
	MsgNoCampaign = define("event_no_campaign", "no such campaign")
	MsgNoContact  = define("event_no_contact", "no such number in the list")
	MsgNeverSent  = define("event_never_sent", "the contact was never sent")
	MsgUnreadable = define("event_unreadable", "not readable")

	MsgWishNoNumber   = define("wish_no_number", "the event tells no number, and nothing is known of its conversation")
	MsgWishUnlisted   = define("wish_unlisted", "nobody in the list has the number that the event tells; it is on the do-not-contact list")
	MsgWishAnother    = define("wish_another", "the contact is on the do-not-contact list; the event tells another number, which is not")
	MsgWishNotApplied = define("wish_not_applied", "the event could not be applied")
	MsgWishLate       = define("wish_late", "its campaign is over, and one link puts one number a minute on the do-not-contact list; its turn comes")
	MsgWishDamaged    = define("wish_damaged", "what was stored of it is damaged")
)

// Why the next request of an agent waits.
var (
	MsgQuotaFull    = define("quota_full", "the quota is used up")
	MsgQuotaPace    = define("quota_pace", "spread over the window")
	MsgQuotaRefused = define("quota_refused", "refused with 429")
	MsgQuotaFailing = define("quota_failing", "the platform is failing")
	MsgQuotaProbe   = define("quota_probe", "one request is finding out")
	MsgQuotaHeld    = define("quota_held", "the platform asks to wait (503)")
	MsgQuotaLost    = define("quota_lost", "an answer was lost; one contact will find out")
)

// What a campaign waits for.
var (
	MsgLoading       = define("loading", "its contact file is still being loaded")
	MsgLoadDied      = define("load_died", "its enqueue has stopped; run it again")
	MsgScheduled     = define("scheduled", "it starts at {start:moment}; start it now with: campaign start {campaign}")
	MsgToStart       = define("to_start", "{reason}; start it with: campaign start {campaign}")
	MsgWaitsPerson   = define("waits_person", "it waits for a person")
	MsgPaused        = define("paused", "paused: {reason}; go on with: campaign resume {campaign}")
	MsgUnapproved    = define("unapproved", "it waits for approval by somebody else than {makers}: campaign approve {campaign}")
	MsgAndUnapproved = define("and_unapproved", "{what}; and {unapproved}")
	MsgNoWorker      = define("no_worker", "no live worker serves agent {agent} (start one with: worker --agents {agent})")
	MsgQueuePaused   = define("queue_paused", "the {lane} queue of agent {agent} is paused in the asynq UI; resume it there")
	MsgQuota         = define("quota", "waiting for the quota: {reason}; the next request leaves at {next:clock}")
	MsgQuotaBlocked  = define("quota_blocked", "waiting for the quota: {reason}; the next request leaves at {next:clock}; sooner with: campaign agents unblock {agent}")
	MsgQuotaProbing  = define("quota_probing", "waiting for the quota: an answer was lost; one contact a request, one after another, until one succeeds")
	MsgAllHeld       = define("all_held", "{contacts:contact is left that|contacts are left that} cannot be contacted: {reason}; end it with: campaign cancel {campaign}")
	MsgDailyCap      = define("daily_cap", "its daily cap of {cap:contact|contacts} is reached; it goes on at {opens:moment}")
	MsgRungs         = define("rungs", "nobody is to be contacted now; some may be contacted again, as its rules say")
	MsgRungsPerhaps  = define("rungs_perhaps", "{open:contact|contacts} may be contacted again, not before {next:moment}")
	MsgRungsToCome   = define("rungs_to_come", "{waiting:contact is|contacts are} expected to be contacted again, {open:more may be|more may be}, not before {next:moment}")
	MsgOutsideHours  = define("outside_hours", "outside its hours; the next contacts may be sent at {opens:moment}")
)

// What a person should know before a launch.
var (
	MsgBlocked    = define("warn_blocked", "the platform allows agent {agent} no request before {until}; sooner with: campaign agents unblock {agent}")
	MsgWillWait   = define("warn_approval", "with more than {above:contact|contacts} it waits for the approval of somebody else than {maker}: campaign approve {campaign}")
	MsgNobody     = define("warn_nobody", "there is nobody to contact in this file")
	MsgTwoNumbers = define("warn_two_numbers", "lines with two numbers in a cell: {lines}; --two-numbers first takes the first of each")
	MsgHeld       = define("warn_held", "contacts that are held: {contacts}; "+hours.NoZoneReason+", or its hours never come. --no-zone-hours decides about numbers without a zone")
	MsgMissed     = define("warn_missed", "{contacts} contacts will not be sent by {end}, and are then canceled")
)

// What is easily missed about hours.
var (
	MsgDatesUnsure     = define("dates_unsure", "{dates}: may be a day earlier or later, as the moon is seen; set it again once it is announced")
	MsgDatesUnsureMore = define("dates_unsure_more", "{dates} and {more} more: may be a day earlier or later, as the moon is seen; set it again once it is announced")
	MsgDatesOpen       = define("dates_open", "{dates}: open on {days} too, when the week is closed; say days before its hours to leave them out")
	MsgZoneBehind      = define("zone_behind", "time zone {zone} is {hours} hours behind UTC, as the tz database counts: better name a city, such as Asia/Riyadh")
	MsgZoneAhead       = define("zone_ahead", "time zone {zone} is {hours} hours ahead of UTC, as the tz database counts: better name a city, such as Asia/Riyadh")
	MsgZoneFixed       = define("zone_fixed", "time zone {zone} never changes to summer time: better name a city, such as America/New_York")
)

// How a contact file was read.
var (
	MsgReadHeader       = define("read_header", "line {line} is taken for the header; what stands above it is not read")
	MsgReadNumbers      = define("read_numbers", "the numbers are those of column {column}; not read: {others}; to use them where it has none: {flags: }")
	MsgReadEncoding     = define("read_encoding", "the encoding {encoding} is a guess: --encoding decides")
	MsgReadEncodingLine = define("read_encoding_line", "the encoding {encoding} is a guess: line {line} reads {words}; --encoding decides")
	MsgReadCountry      = define("read_country", "column {column} gives the country of the numbers")
	MsgReadNoSheet      = define("read_no_sheet", "the sheet {sheet} is not read: {why}")
	MsgReadNoSheets     = define("read_no_sheets", "sheets are not read: {sheets}")
	MsgReadNoHidden     = define("read_no_hidden", "hidden sheets are not read: {sheets}")
	MsgReadNoHiddenOne  = define("read_no_hidden_one", "hidden sheets are not read: {sheets}; --sheet reads one")
	MsgReadOneSheet     = define("read_one_sheet", "of the workbook only the sheet {sheet} is read, and not {sheets}: choose with --sheet, or give --all-sheets")
	MsgReadHiddenRows   = define("read_hidden_rows", "hidden rows of the sheet that are read all the same: {rows}; --skip-hidden-rows leaves them out")
	MsgReadHiddenColumn = define("read_hidden_column", "the column of the phone numbers, {column}, is hidden in the sheet")
	MsgReadStarts       = define("read_starts", "lines are counted through all sheets: {starts}")
	MsgReadStart        = define("read_start", "line {line} is row {row} of the sheet {sheet}")
	MsgReadFormulas     = define("read_formulas", "column {column}: formulas without a stored value, read as empty: {cells}; open and save the file in Excel")
	MsgReadErrors       = define("read_errors", "column {column}: cells with {error} instead of a value: {cells}")
	MsgReadFilled       = define("read_filled", "column {column} is not sent: the value {key} is filled otherwise")
	MsgReadNameless     = define("read_nameless", "column {column} has no name: it is kept and not sent")
	MsgReadResults      = define("read_results", "the file holds results of a campaign: the columns {columns} are kept and not sent; --map COLUMN=VALUE sends one")
	MsgReadUnknown      = define("read_unknown", "the campaign has no column {columns}: left out")
	MsgNoKeys           = define("no_keys", "the agent names no value keys: every column is sent")
	MsgKeysUnknown      = define("keys_unknown", "the agent's value keys are not known ({why}): every column is sent")
	MsgBothContact      = define("both_contact", "campaign {campaign} is still to contact {contacts} of these: both contact them. Leave them out by --where, or by --skip-contacted-within those that it contacts first")
	MsgStillToContact   = define("still_to_contact", "campaign {campaign} is still to contact {contacts} of these: those that it contacts first are left out")
	MsgOfList           = define("of_list", "suppression list {file}: {remark}")
	MsgListUnreadable   = define("list_unreadable", "suppression list {file}: {lines} of its lines have no usable number, so they leave nobody out")
	MsgListSheets       = define("list_sheets", "suppression list {file}: {sheets}; they leave nobody out")
	MsgListNoPhone      = define("list_no_phone", "no phone column: the columns are {columns}: name the one with the numbers phone")
	MsgListFault        = defineWhole("list_fault", "suppression list {file}: {why}")
)

// What is wrong with what a person said; see Fault.
var (
	MsgWantNumber   = define("want_number", "want a number from {least}")
	MsgWantBetween  = define("want_between", "want a number from {least} to {most}")
	MsgWantChoice   = define("want_choice", "want {others} or {last}")
	MsgWantShare    = define("want_share", `share "{text}": want 0% to 100%`)
	MsgWantTime     = define("want_time", "want a time from 1h to {days}d")
	MsgWantDuration = define("want_duration", "want a time such as 30m or 1h30m")
	MsgWantShorter  = define("want_shorter", "want at most {most} characters, have {have}")
	MsgWantName     = define("want_name", "campaign name: want 1 to 64 of A-Z a-z 0-9 . _ -")
	MsgNameBegins   = define("name_begins", "campaign name: want a letter, a digit, . or _ at its beginning")
	MsgNameNumber   = define("name_number", "campaign name: it may hold a phone number; want at most 6 digits in a row, beside dates such as 2026-11-30")
	MsgWantEvents   = define("want_events", "max optout share, min answer share and max silence go by the platform's events: launch it with WEBHOOK_URL")
	MsgWantRecord   = define("want_record", "limits per day and week go by the contact record: this campaign must be recorded")
	MsgMoreChosen   = define("more_chosen", "more contacts are chosen than were seen, or some were sent again meanwhile: look at the number again")
	MsgMoreAdded    = define("more_added", "more contacts would be added than were seen: look at the number again")
	MsgMoreThanSeen = defineWhole("more_than_seen", "more contacts would be launched than were seen: look at the review again")
	MsgStandsAnew   = defineWhole("stands_anew", "{action} {campaign}: it is {phase} again since you looked: {why}; ask once more if that is no reason to wait")
	MsgNotNow       = defineWhole("not_now", "{action} {campaign}: it is {phase}")
)

// What is wrong with what a person wrote for a setting that is text.
var (
	MsgWantHours     = define("want_hours", `hours "{text}": want FROM-TO such as 09:00-21:00`)
	MsgWantDays      = define("want_days", `days "{text}": want days such as sun-thu or mon,wed, of sun mon tue wed thu fri sat`)
	MsgWantDate      = define("want_date", `date "{text}": want one such as 2027-02-08`)
	MsgWantMoment    = define("want_moment", `time "{text}": want 2026-11-27T09:00:00+03:00, or 2026-11-27 09:00 with a time zone`)
	MsgWantOffset    = define("want_offset", `time "{text}": give an offset (2026-11-27T09:00:00+03:00) or one time zone`)
	MsgWantZone      = define("want_zone", `time zone "{text}": want a name such as Asia/Riyadh or America/New_York`)
	MsgWantOpen      = define("want_open", `hours "{text}": the window is empty; the whole day is 00:00-24:00`)
	MsgWantTimes     = define("want_times", `hours "{text}": want DAYS FROM-TO such as sun-thu 09:00-21:00`)
	MsgWantOrder     = define("want_order", "dates {text}: the first is after the last")
	MsgWantShown     = define("want_shown", `time "{text}": the clocks there skip it`)
	MsgWantOnce      = define("want_once", `time "{text}": the clocks there show it twice: give an offset`)
	MsgWantZoned     = define("want_zoned", `hours "{text}": want HOURS@ZONE such as 09:00-21:00@Asia/Riyadh`)
	MsgWantContact   = define("want_contact", "hours for contacts without a zone are for time zone contact only")
	MsgNoCommonHours = defineWhole("no_common_hours", "--hours {hours} and --rules {rules} ({week}): no time is left at which anybody may be contacted")
	MsgWantDelays    = defineWhole("want_delays", "{rule}: want 1 to {most} delays")
	MsgWantFollowed  = defineWhole("want_followed", "{rule}: want one of {states}: others wait for a person, or are not to be contacted")
	MsgWantFewer     = defineWhole("want_fewer", "want at most {most}")
	MsgWantRule      = defineWhole("want_rule", `"{text}": want `+RuleForms)
	MsgWantLadder    = defineWhole("want_ladder", `"{text}": want RULE:DELAY such as ended.no_answer:2h,1d`)
	MsgWantDelay     = defineWhole("want_delay", `delay "{text}": want a time from 1s to {most}, such as 2h or 1d`)
)

// Why contacts are not sent again.
var (
	MsgRerunLoading = defineWhole("rerun_loading", "it is still loading")
	MsgRerunRefused = defineWhole("rerun_refused", "by its rules ({rules}) contacts that were rejected are not sent again")
	MsgRerunOpen    = defineWhole("rerun_open", "{contacts} contacts are pending or sending: a canary or a start is for a campaign that is over")
	MsgRerunRungs   = defineWhole("rerun_rungs", "some contacts may be contacted again by --then: a canary or a start is for a campaign that is over")
)

// What is wrong with a contact file.
var (
	MsgFileEmpty        = defineWhole("file_empty", "the file is empty")
	MsgFileNoNames      = defineWhole("file_no_names", "empty: the first line must name the columns")
	MsgFileNoHeader     = defineWhole("file_no_header", "no phone column: line {line} holds a number where the names of the columns should be")
	MsgFileNoPhone      = defineWhole("file_no_phone", "no phone column: the columns are {columns}: choose one with --phone-column")
	MsgFileUnnamed      = defineWhole("file_unnamed", "no phone column found; column {column} looks like phone numbers, but has no name: give it one, such as phone")
	MsgFilePhone        = defineWhole("file_phone", "no phone column found; column {column} {name} looks like phone numbers: --phone-column {flag}")
	MsgFilePhones       = defineWhole("file_phones", "no phone column found; several look like phone numbers: {columns}: choose with --phone-column")
	MsgFileWhich        = defineWhole("file_which", "more than one column may hold the phone numbers: {columns}: choose one with --phone-column, or give several in order of preference; equal columns need different names")
	MsgFileNoColumn     = defineWhole("file_no_column", "no column {name}: the columns are {columns}")
	MsgFileOneColumn    = defineWhole("file_one_column", `the whole list stands in one column, separated by {separator}: split it in a spreadsheet (Data, Text to Columns), or save it as "CSV UTF-8" with commas (it was read with {comma})`)
	MsgFileEncoding     = defineWhole("file_encoding", `not in UTF-8: save the file as "CSV UTF-8"`)
	MsgFileTwice        = defineWhole("file_twice", "column {column} is chosen for several values of the agent: {keys}")
	MsgPerhapsCodes     = define("perhaps_codes", "it is not certain that its cells are calling codes")
	MsgFewCountries     = define("few_countries", "only {named} of its {cells} cells name a country")
	MsgOwnMisfits       = define("own_misfits", "{misfits} of its {numbers} numbers do not fit it")
	MsgMisfits          = define("misfits", "{misfits} of {numbers} numbers beside it are not of the country it names")
	MsgOtherCountry     = define("other_country", "{misfits} of {numbers} numbers beside it are of another country")
	MsgFileKind         = defineWhole("file_kind", "this is {file_kind}: {file_todo}")
	MsgFileNoBook       = defineWhole("file_no_book", "a sheet is named, but this is not a workbook")
	MsgFileNotABook     = defineWhole("file_not_a_book", "--all-sheets and --skip-hidden-rows are for workbooks, which this is not")
	MsgBadCalendar      = define("bad_calendar", "{why}")
	MsgCalendarZone     = define("calendar_zone", "a calendar needs a time zone: say --timezone")
	MsgWantCalendar     = define("want_calendar", "want an iCalendar file (.ics), or none")
	MsgFileArchive      = defineWhole("file_archive", "this begins like an Excel workbook or a zip archive, but is damaged: {why}; download or copy it again")
	MsgFileZipEmpty     = defineWhole("file_zip_empty", "the zip archive holds no file")
	MsgFileZipMany      = defineWhole("file_zip_many", "the zip archive holds {files} files: it must hold the contact list alone")
	MsgFileZipLocked    = defineWhole("file_zip_locked", "the zip archive has a password: unpack it first")
	MsgFileHuge         = defineWhole("file_huge", "it unpacks to far more than a contact list would: unpack it first")
	MsgFileCutOff       = defineWhole("file_cut_off", "the packed file is cut off: download or copy it again")
	MsgFilePacked       = defineWhole("file_packed", "the packed file is damaged: {why}; download or copy it again")
	MsgFileWorkbook     = defineWhole("file_workbook", "workbook: {file_book}")
	MsgFileDamaged      = defineWhole("file_damaged", "workbook: {part} is damaged: {why}; open it in Excel and save it again")
	MsgFileDamagedRow   = defineWhole("file_damaged_row", "workbook: {part} is damaged at row {row}: {why}; open it in Excel and save it again")
	MsgFileSheetOrAll   = defineWhole("file_sheet_or_all", "choose one of --sheet and --all-sheets")
	MsgFileNoSheets     = defineWhole("file_no_sheets", "workbook: all its sheets are hidden or have no cells: name one with --sheet")
	MsgFileSheetPhones  = defineWhole("file_sheet_phones", "workbook: the first {rows} rows of the sheet {sheet} do not name a column of phone numbers, which --all-sheets goes by")
	MsgFileSheetDiffers = defineWhole("file_sheet_differs", "workbook: the sheet {sheet} has other columns than the first: it lacks {missing} and has {unknown}; name one with --sheet")
	MsgFileSheetCell    = defineWhole("file_sheet_cell", "workbook: the sheet {sheet} has a cell at row {row}, column {column}, where its header names no column")
	MsgFileLongLine     = defineWhole("file_long_line", "line {line}: longer than {bytes} bytes: this is not a contact list")
	MsgFileLine         = defineWhole("file_line", "line {line}: {refusal}")
	MsgFileHeader       = defineWhole("file_header", "line {line} looks like the header: --header-line {line}")
	MsgFilePhoneTwice   = defineWhole("file_phone_twice", "--phone-column {column}: it is named twice")
	MsgFileColumns      = defineWhole("file_columns", "more than {most} columns")
	MsgFileReturns      = defineWhole("file_returns", `the lines end in lone carriage returns: save the file as "CSV UTF-8"`)
	MsgFileSpaced       = defineWhole("file_spaced", `a space stands before the quotes of cells, which are therefore no quotes: take the spaces out (replace ', "' by ',"'), or save it as "CSV UTF-8" in a spreadsheet`)
	MsgFileRejects      = defineWhole("file_rejects", "line {line}: these are rejects without their column {column}: give them back with it")
	MsgFileShort        = defineWhole("file_short", "line {line}: the rows have far fewer cells than the header's {columns}: this is not a contact list")
	MsgFileCountries    = defineWhole("file_countries", "columns {columns: and } may both give the country of the numbers: choose one with --country-column or --country-code-column; none: neither does")
	MsgFileCountry      = defineWhole("file_country", "column {column} {name} may give the country of the numbers, but {why}: give --country-column {flag} or --country-code-column {flag} if it does, {option} none if it does not")
	MsgFileNoSheet      = defineWhole("file_no_sheet", "no sheet {name}: the sheets are {sheets}")
	MsgFileLacks        = defineWhole("file_lacks", "the agent wants values that the file has no column for: missing {missing}; the columns are {columns}; --map COLUMN=KEY or --set KEY=VALUE fills them")
)
