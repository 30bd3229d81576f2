CREATE TABLE chatkit_visitor_use (
    who TEXT NOT NULL,
    full_at TIMESTAMP WITH TIME ZONE NOT NULL,
    running INTEGER DEFAULT '0' NOT NULL,
    day DATE NOT NULL,
    tokens BIGINT DEFAULT '0' NOT NULL,
    bytes BIGINT DEFAULT '0' NOT NULL,
    CONSTRAINT chatkit_visitor_use_pkey PRIMARY KEY (who)
);
