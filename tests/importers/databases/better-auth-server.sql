BEGIN TRANSACTION;
CREATE TABLE account (
	id TEXT NOT NULL, 
	"accountId" TEXT NOT NULL, 
	"providerId" TEXT NOT NULL, 
	"userId" TEXT NOT NULL, 
	"accessToken" TEXT, 
	"refreshToken" TEXT, 
	"idToken" TEXT, 
	"accessTokenExpiresAt" DATETIME, 
	"refreshTokenExpiresAt" DATETIME, 
	scope TEXT, 
	password TEXT, 
	"createdAt" DATETIME NOT NULL, 
	"updatedAt" DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY("userId") REFERENCES user (id) ON DELETE CASCADE
);
INSERT INTO "account" VALUES('AZVld2Ezjr5Wk2zBSc56vqqnspCdTTqH','xokh5mPA9ZNvwJoyHIyiNtY9S33YyGkv','credential','xokh5mPA9ZNvwJoyHIyiNtY9S33YyGkv',NULL,NULL,NULL,NULL,NULL,NULL,'5de84729a8faf26dcd3e1524b8ef890c:d1e614b61e324c600176c59b0b1086ef0e76309dde593a4893212c14a5fcc9a14e0a45798748be171c841d19a1b49cf0a2fb6f2a541b853fb533dfc063ac8147','2026-11-29 22:44:52.370257','2026-11-29 22:44:52.370257');
INSERT INTO "account" VALUES('qdrKYXm1vCRNu8ibPNhDdEdpXgGHRnY7','WFK66j5dB7BcAmtZiMJUtuww8rmkUvnq','credential','WFK66j5dB7BcAmtZiMJUtuww8rmkUvnq',NULL,NULL,NULL,NULL,NULL,NULL,'4d7ce4e3fae810d78e9d2cb5b4e41d7f:262634432892377eeed50f6c8a626c917a059636615560d4326e42c23027efbaa9904418024238a16ad695f4e1c1b38f9a98ef6cfc823485913f5f2313857346','2026-11-29 22:44:52.958361','2026-11-29 22:44:52.958361');
INSERT INTO "account" VALUES('Mn1t4plZi0pR4zBl031PlDt0fp5JTAUQ','VackZyKmNpat7oTbE6mdhnkodkTuZ9oU','credential','VackZyKmNpat7oTbE6mdhnkodkTuZ9oU',NULL,NULL,NULL,NULL,NULL,NULL,'9e0fb5c8a022c889ca6c0bb70b8c418b:b5339a071e7e0fe635ee23b311d733bdceac2936d817e79262897e6182422ff0501223d2b63a37062520d02348890de2de1d9b7c163fb10a1a056f8f4ce7ee54','2026-11-29 22:44:53.549183','2026-11-29 22:44:53.549183');
CREATE TABLE apikey (
	id TEXT NOT NULL, 
	"configId" TEXT NOT NULL, 
	name TEXT, 
	start TEXT, 
	"referenceId" TEXT NOT NULL, 
	prefix TEXT, 
	"key" TEXT NOT NULL, 
	"refillInterval" INTEGER, 
	"refillAmount" INTEGER, 
	"lastRefillAt" DATETIME, 
	enabled BOOLEAN, 
	"rateLimitEnabled" BOOLEAN, 
	"rateLimitTimeWindow" INTEGER, 
	"rateLimitMax" INTEGER, 
	"requestCount" INTEGER, 
	remaining INTEGER, 
	"lastRequest" DATETIME, 
	"expiresAt" DATETIME, 
	"createdAt" DATETIME NOT NULL, 
	"updatedAt" DATETIME NOT NULL, 
	permissions TEXT, 
	metadata TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "apikey" VALUES('AvADni0W7p1F3nuA8a6SwLPQLjTGmmE8','default','orders','shop_w','xokh5mPA9ZNvwJoyHIyiNtY9S33YyGkv','shop_','0qB9gEW_LCTDkvG6poCNbNNOO-tAlG6lgojFxB9DSYg',NULL,NULL,NULL,1,1,86400000,10,0,NULL,NULL,NULL,'2026-11-29 22:44:54.110716','2026-11-29 22:44:54.110716','{"orders": ["read"]}',NULL);
INSERT INTO "apikey" VALUES('ZMhxFaYhAsZ4hiMirToBro2tBt23ubkv','bare','bare','edNxgu','WFK66j5dB7BcAmtZiMJUtuww8rmkUvnq',NULL,'rr8uOZCqd-WvPh8q0DHllJkZEZCQipGTIyeft41kI6U',NULL,NULL,NULL,1,1,86400000,10,0,NULL,NULL,NULL,'2026-11-29 22:44:54.131106','2026-11-29 22:44:54.131106',NULL,NULL);
INSERT INTO "apikey" VALUES('CXwtiVgoEkXjknAvtdCM3Vt20zr3hro0','machines','warehouse','shop_q','yrkQReLqgvftI6hiNsaiVzZWHGZJZtkZ','shop_','4ZdahGvtI5P5ZggLMCT37rzNfwFUwSLNrNAGRsqVxLc',NULL,NULL,NULL,1,1,86400000,10,0,NULL,NULL,NULL,'2026-11-29 22:44:54.252059','2026-11-29 22:44:54.252059','{"stock": ["read"]}',NULL);
CREATE TABLE invitation (
	id TEXT NOT NULL, 
	"organizationId" TEXT NOT NULL, 
	email TEXT NOT NULL, 
	role TEXT, 
	status TEXT NOT NULL, 
	"expiresAt" DATETIME NOT NULL, 
	"createdAt" DATETIME NOT NULL, 
	"inviterId" TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY("organizationId") REFERENCES organization (id), 
	FOREIGN KEY("inviterId") REFERENCES user (id)
);
CREATE TABLE member (
	id TEXT NOT NULL, 
	"organizationId" TEXT NOT NULL, 
	"userId" TEXT NOT NULL, 
	role TEXT NOT NULL, 
	"createdAt" DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY("organizationId") REFERENCES organization (id), 
	FOREIGN KEY("userId") REFERENCES user (id)
);
INSERT INTO "member" VALUES('ND5n2u77jRyf6C41RifAmN2VqWYqKUPH','yrkQReLqgvftI6hiNsaiVzZWHGZJZtkZ','xokh5mPA9ZNvwJoyHIyiNtY9S33YyGkv','owner','2026-11-29 22:44:54.190089');
INSERT INTO "member" VALUES('M6fwpUAelcXAaemFdssf4pH7SDE79hLt','yrkQReLqgvftI6hiNsaiVzZWHGZJZtkZ','WFK66j5dB7BcAmtZiMJUtuww8rmkUvnq','member','2026-11-29 22:44:54.228271');
CREATE TABLE organization (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	slug TEXT NOT NULL, 
	logo TEXT, 
	metadata TEXT, 
	"createdAt" DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "organization" VALUES('yrkQReLqgvftI6hiNsaiVzZWHGZJZtkZ','Shop','shop',NULL,NULL,'2026-11-29 22:44:54.178170');
CREATE TABLE passkey (
	id TEXT NOT NULL, 
	name TEXT, 
	"publicKey" TEXT NOT NULL, 
	"userId" TEXT NOT NULL, 
	"credentialID" TEXT NOT NULL, 
	counter INTEGER NOT NULL, 
	"deviceType" TEXT NOT NULL, 
	"backedUp" BOOLEAN NOT NULL, 
	transports TEXT, 
	"createdAt" DATETIME, 
	aaguid TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY("userId") REFERENCES user (id)
);
INSERT INTO "passkey" VALUES('Knfm398Rf1bpXiCesszot997j9kQH71W','Key','pQECAyYgASFYIM3WjWvzyG+sdf5epzyHrbZJKHZPWF6hZLZ1FJX0jxUuIlggCiFwulhYYdHSzh9zVaJYCCXWN4eZSge8kPsUOCTrS+w=','WFK66j5dB7BcAmtZiMJUtuww8rmkUvnq','yLOVdOxXrjNl4YZwn0l2coZ4K0NGo7Jds7yYsoCRYdQ',0,'multiDevice',1,'internal,hybrid','2026-11-29 22:44:54.956482','00000000-0000-0000-0000-000000000000');
CREATE TABLE session (
	id TEXT NOT NULL, 
	"expiresAt" DATETIME NOT NULL, 
	token TEXT NOT NULL, 
	"ipAddress" TEXT, 
	"userAgent" TEXT, 
	"userId" TEXT NOT NULL, 
	"createdAt" DATETIME NOT NULL, 
	"updatedAt" DATETIME NOT NULL, 
	"impersonatedBy" TEXT, 
	"activeOrganizationId" TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (token), 
	FOREIGN KEY("userId") REFERENCES user (id) ON DELETE CASCADE
);
CREATE TABLE "twoFactor" (
	id TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	"backupCodes" TEXT NOT NULL, 
	"userId" TEXT NOT NULL, 
	verified BOOLEAN, 
	"failedVerificationCount" INTEGER, 
	"lockedUntil" DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY("userId") REFERENCES user (id)
);
INSERT INTO "twoFactor" VALUES('b83Gb8PZfDHkmJq5E0InB65bybOoULvP','b18ccee0d128f21dc4d8a0dd3c30f8e75a68c55f409ff0c6dd9178dddfe1eca7f4a0baa148137c0bf62ce576972d319205f75b939788ca1db7c6926da71e23e9fcc48262c9313bb7','37310068b8a14485c9914377ffcc288127bd28a12f64e8f37fff06fd418e476ebe747d28e3e4226109e72a4a2589667131f1f457e0a5354c8d73d552bed41edd1e743f579fa482aa18df3c5ed2c0882934d22df79717eaeee96868bc7d31fb6063930c4f1bde09d9bf4dba7aab2a103ff98730d7bf5c4489135929561c7d9e8db5170d1c7f20e0905ca364eee4ea3d6978b9581ea7861daa9abb71ab05689c5cfbb45149f642c311c2e3a6a5735495c1afbca1f41b4e40818962cc8e208f','xokh5mPA9ZNvwJoyHIyiNtY9S33YyGkv',1,0,NULL);
CREATE TABLE user (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	email TEXT NOT NULL, 
	"emailVerified" BOOLEAN NOT NULL, 
	image TEXT, 
	"createdAt" DATETIME NOT NULL, 
	"updatedAt" DATETIME NOT NULL, 
	"twoFactorEnabled" BOOLEAN, 
	role TEXT, 
	banned BOOLEAN, 
	"banReason" TEXT, 
	"banExpires" DATETIME, 
	PRIMARY KEY (id), 
	UNIQUE (email)
);
INSERT INTO "user" VALUES('xokh5mPA9ZNvwJoyHIyiNtY9S33YyGkv','Uma','uma@example.com',1,NULL,'2026-11-29 22:44:52.370257','2026-11-29 22:44:54.794620',1,'user',0,NULL,NULL);
INSERT INTO "user" VALUES('WFK66j5dB7BcAmtZiMJUtuww8rmkUvnq','Ben','ben@example.com',0,NULL,'2026-11-29 22:44:52.958361','2026-11-29 22:44:52.958361',0,'user',0,NULL,NULL);
INSERT INTO "user" VALUES('VackZyKmNpat7oTbE6mdhnkodkTuZ9oU','Bad','bad@example.com',0,NULL,'2026-11-29 22:44:53.549183','2026-11-29 22:44:54.051932',0,'user',1,NULL,NULL);
CREATE TABLE verification (
	id TEXT NOT NULL, 
	identifier TEXT NOT NULL, 
	value TEXT NOT NULL, 
	"expiresAt" DATETIME NOT NULL, 
	"createdAt" DATETIME NOT NULL, 
	"updatedAt" DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX ix_verification_identifier ON verification (identifier);
CREATE INDEX ix_apikey_key ON apikey ("key");
CREATE INDEX "ix_apikey_configId" ON apikey ("configId");
CREATE INDEX "ix_apikey_referenceId" ON apikey ("referenceId");
CREATE UNIQUE INDEX ix_organization_slug ON organization (slug);
CREATE INDEX "ix_session_userId" ON session ("userId");
CREATE INDEX "ix_account_userId" ON account ("userId");
CREATE INDEX "ix_twoFactor_secret" ON "twoFactor" (secret);
CREATE INDEX "ix_twoFactor_userId" ON "twoFactor" ("userId");
CREATE INDEX "ix_member_organizationId" ON member ("organizationId");
CREATE INDEX "ix_member_userId" ON member ("userId");
CREATE INDEX "ix_invitation_organizationId" ON invitation ("organizationId");
CREATE INDEX ix_invitation_email ON invitation (email);
CREATE INDEX "ix_passkey_userId" ON passkey ("userId");
CREATE INDEX "ix_passkey_credentialID" ON passkey ("credentialID");
COMMIT;
