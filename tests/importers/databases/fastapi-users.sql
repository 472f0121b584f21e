BEGIN TRANSACTION;
CREATE TABLE user (
	id CHAR(36) NOT NULL, 
	email VARCHAR(320) NOT NULL, 
	hashed_password VARCHAR(1024) NOT NULL, 
	is_active BOOLEAN NOT NULL, 
	is_superuser BOOLEAN NOT NULL, 
	is_verified BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "user" VALUES('39310af1-56a3-4ecb-bcdb-a471f34704f3','uma@example.com','$argon2id$v=19$m=65536,t=3,p=4$Owv5EAqdoNlsCaKj/5CE0w$eFs0CXWMPgWOaxGqO7mkQs57+w9ZySHqYDfLKQwXW4s',1,0,1);
INSERT INTO "user" VALUES('3cf00169-db9c-4bd2-a007-1fffc71a2e6e','ben@example.com','$2b$12$EMR7lku4KYjCHnXHq7jBc.DUQGoQCeSAQkcO6vca6Btjd7rp07wl.',1,0,0);
CREATE UNIQUE INDEX ix_user_email ON user (email);
COMMIT;
