CREATE TABLE chatkit_documents (
    user_id TEXT NOT NULL,
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    source TEXT NOT NULL,
    title TEXT NOT NULL,
    added_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT chatkit_documents_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT chatkit_documents_user_id_source_key UNIQUE (user_id, source),
    CONSTRAINT chatkit_documents_user_id_fkey FOREIGN KEY(user_id) REFERENCES chatkit_users (id) ON DELETE CASCADE
);

CREATE TABLE chatkit_passages (
    user_id TEXT NOT NULL,
    document_id BIGINT NOT NULL,
    number INTEGER NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    headings TSVECTOR NOT NULL,
    search TSVECTOR NOT NULL,
    CONSTRAINT chatkit_passages_pkey PRIMARY KEY (user_id, document_id, number),
    CONSTRAINT chatkit_passages_user_id_document_id_fkey FOREIGN KEY(user_id, document_id) REFERENCES chatkit_documents (user_id, id) ON DELETE CASCADE
);

CREATE INDEX chatkit_passages_headings_idx ON chatkit_passages USING gin (headings);

CREATE INDEX chatkit_passages_search_idx ON chatkit_passages USING gin (search);
