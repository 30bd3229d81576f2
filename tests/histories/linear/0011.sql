ALTER TABLE chatkit_sessions ADD COLUMN frame_code TEXT;

ALTER TABLE chatkit_sessions ADD COLUMN frame_code_at TIMESTAMP WITH TIME ZONE;
