# Appended to the suite's `aofmanifest.tcl`, which tests load again.

# Redis goes on with the last file that the manifest names; kring begins new files at every start. A test that writes that file anew
# means the whole log: what kring has added goes.
catch {rename redis_create_aof ""}
rename create_aof redis_create_aof
proc create_aof {dir file code} {
    set manifest [glob -nocomplain $dir/*.manifest]
    if {[string match *.1.incr.aof $file] && [llength $manifest] == 1} {
        set path [lindex $manifest 0]
        set in [open $path]
        set lines [split [string trim [read $in]] \n]
        close $in
        set out [open $path w]
        foreach line $lines {
            set name [lindex $line 1]
            if {[string match *.incr.aof $name] && $name ne [file tail $file]} {
                file delete -force $dir/$name
            } else {
                puts $out $line
            }
        }
        close $out
    }
    uplevel 1 [list redis_create_aof $dir $file $code]
}
