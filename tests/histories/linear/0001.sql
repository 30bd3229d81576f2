CREATE TABLE chatkit_users (
    id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT chatkit_users_pkey PRIMARY KEY (id)
);

CREATE TABLE chatkit_threads (
    user_id TEXT NOT NULL,
    id TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT chatkit_threads_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT chatkit_threads_user_id_fkey FOREIGN KEY(user_id) REFERENCES chatkit_users (id) ON DELETE CASCADE
);

CREATE INDEX chatkit_threads_user_id_created_at_id_idx ON chatkit_threads (user_id, created_at, id);

CREATE TABLE chatkit_thread_items (
    user_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    id TEXT NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    type TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT chatkit_thread_items_pkey PRIMARY KEY (user_id, thread_id, id),
    CONSTRAINT chatkit_thread_items_user_id_thread_id_fkey FOREIGN KEY(user_id, thread_id) REFERENCES chatkit_threads (user_id, id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX chatkit_thread_items_user_id_thread_id_seq_idx ON chatkit_thread_items (user_id, thread_id, seq);

CREATE STATISTICS chatkit_thread_items_user_id_thread_id_stat (dependencies) ON user_id, thread_id FROM chatkit_thread_items;

CREATE TABLE chatkit_attachments (
    user_id TEXT NOT NULL,
    id TEXT NOT NULL,
    thread_id TEXT,
    payload JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT chatkit_attachments_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT chatkit_attachments_user_id_fkey FOREIGN KEY(user_id) REFERENCES chatkit_users (id) ON DELETE CASCADE,
    CONSTRAINT chatkit_attachments_user_id_thread_id_fkey FOREIGN KEY(user_id, thread_id) REFERENCES chatkit_threads (user_id, id) ON DELETE CASCADE
);

CREATE INDEX chatkit_attachments_user_id_thread_id_idx ON chatkit_attachments (user_id, thread_id);

CREATE TABLE chatkit_feedback (
    user_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT chatkit_feedback_pkey PRIMARY KEY (user_id, thread_id, item_id),
    CONSTRAINT chatkit_feedback_user_id_thread_id_item_id_fkey FOREIGN KEY(user_id, thread_id, item_id) REFERENCES chatkit_thread_items (user_id, thread_id, id) ON DELETE CASCADE
);

CREATE TABLE chatkit_runs (
    user_id TEXT NOT NULL,
    id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    status TEXT DEFAULT 'running' NOT NULL,
    request TEXT NOT NULL,
    request_key TEXT,
    model TEXT NOT NULL,
    tokens_in BIGINT DEFAULT '0' NOT NULL,
    tokens_out BIGINT DEFAULT '0' NOT NULL,
    slot SMALLINT NOT NULL,
    start_seq BIGINT NOT NULL,
    worker TEXT NOT NULL,
    wish TEXT,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT chatkit_runs_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT chatkit_runs_user_id_fkey FOREIGN KEY(user_id) REFERENCES chatkit_users (id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX chatkit_runs_user_id_thread_id_idx ON chatkit_runs (user_id, thread_id) WHERE status = 'running';

CREATE UNIQUE INDEX chatkit_runs_user_id_slot_idx ON chatkit_runs (user_id, slot) WHERE status = 'running';

CREATE UNIQUE INDEX chatkit_runs_user_id_request_key_idx ON chatkit_runs (user_id, request_key);

CREATE INDEX chatkit_runs_user_id_started_at_idx ON chatkit_runs (user_id, started_at);

CREATE INDEX chatkit_runs_started_at_idx ON chatkit_runs (started_at) WHERE status = 'running';
