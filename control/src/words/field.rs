//! What the fields of forms are called where a page lists those that need a change: by the words that stand beside them.

/// The words beside a field, by its name in the form.
#[must_use]
pub fn label(name: &str) -> &str {
    schedule(name).or_else(|| other(name)).unwrap_or(name)
}

/// Fields of schedules.
fn schedule(name: &str) -> Option<&'static str> {
    Some(match name {
        "catch_up" => "Make up for",
        "cron" => "Cron",
        "drill_cron" => "Drill cron",
        "drill_size" => "Drilled at most",
        "exclude_files" => "Exclude files on the host",
        "exclude_if_present" => "Skip folders that hold",
        "exclude_larger_than" => "Skip files larger than",
        "hook" => "Back up what a hook prints",
        "hook_filename" => "As the file",
        "hook_limit" => "Each hook may take",
        "before" => "Before the backup",
        "after" => "After it",
        "jitter" => "Spread starts over",
        "keep_last" => "Keep last",
        "keep_hourly" => "Keep hourly",
        "keep_daily" => "Keep daily",
        "keep_weekly" => "Keep weekly",
        "keep_monthly" => "Keep monthly",
        "keep_yearly" => "Keep yearly",
        "keep_within" => "Everything within",
        "keep_tags" => "With these tags",
        "limit_upload" | "limit_upload_kib" => "Upload limit",
        "limit_download" | "limit_download_kib" => "Download limit",
        "paths" => "Paths",
        "initial_paths" => "Initial paths",
        "excludes" => "Excludes",
        "random_files" => "Files by chance",
        "oldest_files" => "Files proven longest ago",
        "read_concurrency" => "Files read at once",
        "retries" => "Try again",
        "timezone" => "Time zone",
        _ => return None,
    })
}

/// All other fields.
fn other(name: &str) -> Option<&'static str> {
    Some(match name {
        "again" => "The same again",
        "backup_hours" => "Newest good backup older than",
        "ca" | "ca_pem" => "Extra certificate authorities",
        "expires_in_days" => "Ends after days",
        "file" => "Binary",
        "floor" => "Forget at least",
        "ceiling_percent" => "Forget at most",
        "folder" => "Folder on the host",
        "from" => "From",
        "group_seconds" => "Wait for more, seconds",
        "manual_limit_days" => "Without an interval it counts for",
        "max_repack_size" => "Rewrite at most",
        "max_unused" => "Unused data may stay",
        "name" | "host_name" => "Name",
        "new_password" => "New password",
        "offline_alert_hours" => "Raise an alert when an agent was silent for",
        "offline_hours" => "Agent silent for",
        "quota" | "quota_bytes" => "Quota",
        "read_data_parts" => "Read the data in",
        "reason" => "Why",
        "remind_hours" => "Remind after hours",
        "repository" | "repository_id" => "Repository",
        "rest_password" => "Storage password",
        "rest_username" => "Storage user",
        "signed" => "Signature",
        "token" => "Setup token",
        "typed" => "Name of the host",
        "to" => "To",
        "until" => "Day and time",
        "url" => "Address",
        "username" => "User",
        "valid" | "valid_seconds" => "Token is valid for",
        "maintenance_host_id" | "host" => "Host",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_called_as_the_form_calls_it() {
        for (name, said) in [("catch_up", "Make up for"), ("keep_daily", "Keep daily"), ("port", "port")] {
            assert_eq!(label(name), said);
        }
    }
}
