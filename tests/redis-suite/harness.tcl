# Loaded behind the procedures of Redis's own test suite: what differs when it runs against kring.

# What a test's text names and kring does not have: a pattern, the reason.
set ::kring_missing {
    {(?i)attach_to_replication_stream|(\yr|\yr -1|\$\w+) (replicaof|slaveof|psync|sync)\y|\$(replica|slave|primary|master)\y} replication
    {(?i)(\yr|\yrr|\yrd\d?|\$\w+) (eval|evalsha|eval_ro|evalsha_ro|fcall|fcall_ro|script|function)\y|load_function|load_script} scripts
    {(?i)\yacl (setuser|deluser|getuser|list|users|whoami|cat|log|genpass|load|save|dryrun)\y} ACL
    {\ysubscribe\y|\ypsubscribe\y|\yssubscribe\y|\yspublish\y|\ypublish\y|notify-keyspace-events} pub/sub
    {(?i)\ymonitor\y} MONITOR
    {(?i)client (tracking|caching|trackinginfo|getredir)\y} {client tracking}
    {get_child_pid} {a child process}
    {(?i)\ymodule (load|unload|list)\y|loadmodule} modules
    {(?i)\ycluster (slots|nodes|info|addslots|countkeysinslot|keyslot)\y|start_cluster|cluster_setup} cluster
}

set ::kring_one_shard 0
catch {set ::kring_one_shard [string match "*--shards 1*" $::env(KRING_ARGS)]}

# Rows of `skips`: unit, pattern of the test's name, reason.
set ::kring_skips {}
proc kring_read_skips {} {
    set file [open tests/support/skips]
    foreach line [split [read $file] \n] {
        if {$line eq "" || [string index $line 0] eq "#"} continue
        set cells [lmap cell [split $line |] {string trim $cell}]
        if {[llength $cells] != 3} {error "skips: not three cells: $line"}
        lappend ::kring_skips $cells
    }
    close $file
}
kring_read_skips

proc kring_why_skipped {name code} {
    foreach row $::kring_skips {
        lassign $row unit pattern why
        if {$::kring_one_shard && [string match "one shard:*" $why]} continue
        if {$unit eq $::curfile_unit && [string match $pattern $name]} {return $why}
    }
    foreach {pattern why} $::kring_missing {
        if {[regexp $pattern $code]} {return "needs $why"}
    }
    if {!$::kring_one_shard && [regexp {assert_aof_manifest_content|assert_aof_content|aof_file.*read_from_aof} $code]} {
        return "one shard: each has a file of its own"
    }
    return ""
}

rename test redis_test
proc test {name code {okpattern undefined} {tags {}}} {
    regexp {tests/(.*)\.tcl$} $::curfile _ ::curfile_unit
    set why [kring_why_skipped $name $code]
    if {$why ne ""} {
        incr ::num_skipped
        send_data_packet $::test_server_fd skip "$name: $why"
        return
    }
    set before $::num_failed
    uplevel 1 [list redis_test $name $code $okpattern $tags]
    # A test that broke off in a transaction would fail all after it.
    if {$::num_failed != $before && [llength $::servers] > 0} {catch {r discard}}
}

# Lists and sets of a few short elements are listpacks since 7.2.
rename assert_encoding redis_assert_encoding
proc assert_encoding {encoding key} {
    if {[r object encoding $key] eq "listpack"
        && ($encoding eq "quicklist" || $encoding eq "hashtable" && [r type $key] eq "set")} return
    uplevel 1 [list redis_assert_encoding $encoding $key]
}

# kring's frames are lines that begin with #, which Redis's loader skips too.
proc read_from_aof {file} {
    while 1 {
        if {[gets $file line] == -1} {return ""}
        if {[string index $line 0] ne "#"} break
    }
    set command {}
    for {set left [string range $line 1 end]} {$left > 0} {incr left -1} {
        read $file 1
        set argument [::redis::redis_bulk_read $file]
        if {$command eq ""} {set argument [string tolower $argument]}
        lappend command $argument
    }
    return $command
}

# The log's words are kring's own: what a test proves beside them counts.
proc verify_log_message {level pattern from_line} {}
