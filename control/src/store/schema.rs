//! The tables as diesel knows them; `migrations/` makes them.

diesel::table! { settings (key) { key -> Text, value -> Text, } }
diesel::table! {
    users (id) {
        id -> Text, name -> Text, password_hash -> Text, role -> Text, disabled -> Bool,
        created_at -> BigInt, last_login_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    sessions (id) {
        id -> Text, token_hash -> Text, user_id -> Text, created_at -> BigInt, expires_at -> BigInt,
        address -> Text, user_agent -> Text,
    }
}
diesel::table! {
    api_tokens (id) {
        id -> Text, name -> Text, token_hash -> Text, role -> Text, created_by -> Text,
        created_at -> BigInt, expires_at -> Nullable<BigInt>, revoked_at -> Nullable<BigInt>, prefix -> Nullable<Text>,
        last_used_at -> Nullable<BigInt>, last_used_from -> Nullable<Text>,
    }
}
diesel::table! {
    repositories (id) {
        id -> Text, name -> Text, url -> Text, backend -> Text, init_if_missing -> Bool,
        password_sealed -> Text, created_at -> BigInt, updated_at -> BigInt,
        maintenance_host_id -> Nullable<Text>, plan -> Text, quota_bytes -> Nullable<BigInt>, ca_pem -> Nullable<Text>,
        rotation -> Nullable<Text>, pending_password_sealed -> Nullable<Text>,
    }
}
diesel::table! {
    hosts (id) {
        id -> Text, name -> Text, lifecycle -> Text, hostname -> Text, os -> Nullable<Text>, os_version -> Text,
        arch -> Text, timezone -> Nullable<Text>, agent_version -> Text, restic_version -> Nullable<Text>,
        tags -> Text, signing_key -> Nullable<Text>, sealing_key -> Nullable<Text>, schedule_version -> BigInt,
        held_version -> BigInt, last_seen_at -> Nullable<BigInt>, created_at -> BigInt,
        enrolled_at -> Nullable<BigInt>, retired_at -> Nullable<BigInt>, frozen -> Nullable<Text>, hooks -> Text,
        planned -> Bool, good_at -> Nullable<BigInt>, good_bytes -> Nullable<BigInt>, protected_until -> Nullable<BigInt>,
        trouble -> Text, judged_at -> Nullable<BigInt>, limits -> Nullable<Text>, pauses -> Nullable<Text>,
    }
}
diesel::table! {
    enrollment_tokens (id) {
        id -> Text, token_hash -> Text, host_id -> Text, named -> Bool, initial_paths -> Text,
        repository_id -> Nullable<Text>, credential_sealed -> Nullable<Text>, created_by -> Text,
        created_at -> BigInt, expires_at -> BigInt, used_at -> Nullable<BigInt>, revoked_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    host_credentials (id) {
        id -> Text, host_id -> Text, repository_id -> Text, mode -> Text, secrets_sealed -> Text,
        created_at -> BigInt, updated_at -> BigInt, url -> Nullable<Text>, proof -> Nullable<Text>,
        proof_at -> Nullable<BigInt>, proof_verdict -> Nullable<Text>,
    }
}
diesel::table! {
    schedules (id) {
        id -> Text, host_id -> Text, repository_id -> Nullable<Text>, name -> Text, enabled -> Bool, manual -> Bool,
        cron -> Nullable<Text>, timezone -> Nullable<Text>, backup -> Text, retention -> Text,
        firing -> Text, created_at -> BigInt, updated_at -> BigInt, drill -> Nullable<Text>,
        pauses -> Nullable<Text>,
    }
}
diesel::table! {
    schedule_ledgers (schedule_id) {
        schedule_id -> Text, cron -> Text, timezone -> Text, since -> BigInt, until -> BigInt, ended -> Bool,
    }
}
diesel::table! {
    schedule_tracks (schedule_id) {
        schedule_id -> Text, run_at -> BigInt, last_end -> Text, good_at -> Nullable<BigInt>, good_bytes -> Nullable<BigInt>,
        last_job_id -> Nullable<Text>, cause -> Nullable<Text>,
    }
}
diesel::table! { next_runs (schedule_id) { schedule_id -> Text, host_id -> Text, at -> BigInt, } }
diesel::table! {
    jobs (id) {
        id -> Text, host_id -> Text, schedule_id -> Nullable<Text>, repository_id -> Nullable<Text>, kind -> Text,
        state -> Text, attempt -> Integer, state_version -> BigInt, task -> Nullable<Text>, requested_by -> Text,
        idempotency_key -> Nullable<Text>, due_at -> Nullable<BigInt>, stands_for -> Nullable<Text>, queued_at -> BigInt, dispatched_at -> Nullable<BigInt>,
        started_at -> Nullable<BigInt>, finished_at -> Nullable<BigInt>, lease_until -> Nullable<BigInt>,
        cancel_requested_at -> Nullable<BigInt>, chunk_seq -> BigInt, event_seq -> BigInt,
        progress -> Nullable<Text>, result -> Nullable<Text>, priority -> Integer, chore -> Nullable<Text>,
        secrets_sealed -> Nullable<Text>, outcome -> Nullable<Text>, pids -> Nullable<Text>, place -> Text,
        added_bytes -> Nullable<BigInt>,
        cancel_requested_by -> Nullable<Text>,
    }
}
diesel::table! { job_log (job_id, seq) { job_id -> Text, seq -> BigInt, lines -> Text, } }
diesel::table! {
    snapshots (repository_id, snapshot_id) {
        repository_id -> Text, snapshot_id -> Text, host_id -> Nullable<Text>, schedule_id -> Nullable<Text>,
        job_id -> Nullable<Text>, time -> BigInt, record -> Text, place -> Text, attested -> Bool, listed_by -> Nullable<Text>,
        first_seen_at -> BigInt, gone_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    repository_samples (repository_id, place, at) { repository_id -> Text, place -> Text, at -> BigInt, sample -> Text, }
}
diesel::table! {
    place_sizes (repository_id, place) {
        repository_id -> Text, place -> Text, at -> BigInt, bytes -> BigInt, growth_per_day -> Nullable<BigInt>,
    }
}
diesel::table! {
    repository_locks (repository_id, place, lock_id) {
        repository_id -> Text, place -> Text, lock_id -> Text, record -> Text, seen_at -> BigInt,
    }
}
diesel::table! {
    recovery_kits (repository_id) { repository_id -> Text, basis -> Text, made_at -> BigInt, made_by -> Text, }
}
diesel::table! {
    restores (id) {
        id -> Text, repository_id -> Text, snapshot_id -> Text, created_by -> Text, draft -> Text,
        preview_job_id -> Nullable<Text>, job_id -> Nullable<Text>, created_at -> BigInt, updated_at -> BigInt,
    }
}
diesel::table! {
    repository_chores (repository_id, place, chore) {
        repository_id -> Text, place -> Text, chore -> Text, followed_until -> Nullable<BigInt>, asked_by -> Nullable<Text>,
        last_job_id -> Nullable<Text>, last_state -> Nullable<Text>, last_done_at -> Nullable<BigInt>,
        last_success_at -> Nullable<BigInt>, cycle -> Nullable<Text>, note -> Nullable<Text>,
    }
}
diesel::table! {
    drill_states (schedule_id) {
        schedule_id -> Text, followed_until -> BigInt, proven_at -> Nullable<BigInt>, proven_snapshot_id -> Nullable<Text>,
        last_job_id -> Nullable<Text>, note -> Nullable<Text>,
    }
}
diesel::table! {
    drills (job_id) {
        job_id -> Text, host_id -> Text, schedule_id -> Nullable<Text>, repository_id -> Nullable<Text>, at -> BigInt,
        verdict -> Text, record -> Text,
    }
}
diesel::table! {
    drilled_files (schedule_id, path_key) {
        schedule_id -> Text, path_key -> Text, file -> Text, snapshot_id -> Text, job_id -> Text, failed -> Bool,
        drilled_at -> BigInt, proven_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    releases (version, target) {
        version -> Text, target -> Text, sha256 -> Text, size -> BigInt, signed -> Text, notes -> Text, uploaded_by -> Text,
        uploaded_at -> BigInt, file_at -> Nullable<BigInt>, withdrawn_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    rollouts (id) {
        id -> Text, version -> Text, previous -> Nullable<Text>, stages -> Text, stage -> Integer, stage_since -> BigInt,
        state -> Text, note -> Nullable<Text>, started_by -> Text, started_at -> BigInt,
    }
}
diesel::table! {
    host_agents (host_id) {
        host_id -> Text, version -> Text, since -> BigInt, fact -> Nullable<Text>, failed_version -> Nullable<Text>,
        failed_error -> Nullable<Text>, failed_at -> Nullable<BigInt>, forgiven_at -> Nullable<BigInt>,
        asked_rollout -> Nullable<Text>, asked_at -> Nullable<BigInt>,
    }
}
diesel::table! {
    alerts (id) {
        id -> Text, kind -> Text, subject -> Text, severity -> Text, detail -> Text, opened_at -> BigInt,
        updated_at -> BigInt, acknowledged_at -> Nullable<BigInt>, acknowledged_by -> Nullable<Text>,
        resolved_at -> Nullable<BigInt>, acknowledged_reason -> Nullable<Text>, acknowledged_until -> Nullable<BigInt>,
    }
}
diesel::table! {
    channels (id) {
        id -> Text, name -> Text, settings -> Text, secrets_sealed -> Nullable<Text>, enabled -> Bool, rules -> Text,
        created_at -> BigInt, updated_at -> BigInt, summary -> Nullable<Text>, summary_due -> Nullable<BigInt>,
    }
}
diesel::table! {
    deliveries (id) {
        id -> Text, channel_id -> Text, alert_id -> Nullable<Text>, what -> Text, round -> BigInt, state -> Text,
        batch -> Nullable<Text>, attempts -> Integer, created_at -> BigInt, next_attempt_at -> BigInt,
        last_error -> Nullable<Text>, sent_at -> Nullable<BigInt>, digest -> Nullable<Text>, summary -> Nullable<Text>,
    }
}
diesel::table! {
    audit_events (seq) {
        seq -> BigInt, at -> BigInt, actor -> Text, address -> Text, action -> Text, subject -> Text,
        detail -> Text, hash -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    users,
    sessions,
    api_tokens,
    repositories,
    hosts,
    enrollment_tokens,
    host_credentials,
    schedules,
    schedule_ledgers,
    schedule_tracks,
    next_runs,
    jobs,
    job_log,
    snapshots,
    repository_samples,
    place_sizes,
    repository_locks,
    recovery_kits,
    repository_chores,
    drill_states,
    alerts,
    channels,
    deliveries,
    host_agents,
);
diesel::joinable!(deliveries -> alerts (alert_id));
diesel::joinable!(deliveries -> channels (channel_id));
diesel::joinable!(drill_states -> schedules (schedule_id));
diesel::joinable!(host_agents -> hosts (host_id));
diesel::joinable!(host_credentials -> hosts (host_id));
diesel::joinable!(next_runs -> hosts (host_id));
diesel::joinable!(sessions -> users (user_id));
