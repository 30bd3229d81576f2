CREATE TABLE chatkit_emails (
    user_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    recipients JSONB NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT DEFAULT 'draft' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    error TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT chatkit_emails_pkey PRIMARY KEY (user_id, thread_id, item_id),
    CONSTRAINT chatkit_emails_user_id_thread_id_fkey FOREIGN KEY(user_id, thread_id) REFERENCES chatkit_threads (user_id, id) ON DELETE CASCADE
);
