import { join } from 'node:path'
import type { SandboxFiles } from '@bankside/certs/sandbox-files'
import { urlAs } from '@bankside/service-kit/role-passwords'
import { bankOrganisationId, directoryIssuer, testAuthority } from './directory/software.ts'
import { originsOf, placesIn, repository, type Settings } from './settings.ts'

/** A process of the product: the file that is its entry point, and the whole of its environment. */
export type Service = { readonly name: string; readonly file: string; readonly environment: Readonly<Record<string, string>> }

const listenAddress = '127.0.0.1'

export function servicesOf(settings: Settings, ownerUrl: string, files: SandboxFiles): readonly Service[] {
  const { ports, logLevel, home, rateLimit } = settings
  const origins = originsOf(ports)
  const limits = {
    RATE_LIMIT_ADDRESS: rateLimit,
    RATE_LIMIT_CLIENT: rateLimit,
    RATE_LIMIT_SIGN_IN: rateLimit,
    RATE_LIMIT_CUSTOMER: rateLimit,
    RATE_LIMIT_WRITES: rateLimit,
  }
  const all = { LOG_LEVEL: logLevel, NODE_ENV: 'production', ...(rateLimit !== undefined && (limits as Record<string, string>)) }
  const audiences = { ISSUER: origins.issuer, UK_AUDIENCE: origins.ukAudience, BANK_AUDIENCE: origins.bankAudience }
  const tls = {
    TLS_RSA_KEY_FILE: files.serverRsa.keyFile,
    TLS_RSA_CERT_FILE: files.serverRsa.certFile,
    TLS_EC_KEY_FILE: files.serverEc.keyFile,
    TLS_EC_CERT_FILE: files.serverEc.certFile,
    CLIENT_CA_FILE: files.caFile,
  }
  return [
    service('auth-server', {
      ...all,
      LISTEN_ADDRESS: listenAddress,
      ...audiences,
      ...tls,
      MTLS_ISSUER: origins.mtlsIssuer,
      // Third parties of the sandbox are on this machine, with certificates of its authority.
      OUTBOUND_CA_FILE: files.caFile,
      OUTBOUND_PRIVATE_HOSTS: 'localhost',
      ...trustInDirectory(origins.directory),
      ISSUER_PORT: String(ports.issuer),
      MTLS_PORT: String(ports.mtlsIssuer),
      OPERATIONS_PORT: String(ports.authServerOperations),
      DATABASE_URL: urlAs(ownerUrl, 'bankside_auth_server'),
      SIGNING_KEYS_FILE: files.signingKeysFile,
      SECRETS_FILE: placesIn(home).secrets,
      ...(settings.redis && { REDIS_URL: settings.redis.url, ...(settings.redis.ca && { REDIS_CA: settings.redis.ca }) }),
      NOTIFICATION_KEYS_FILE: placesIn(home).notificationKey,
    }),
    service('resource-api', {
      ...all,
      LISTEN_ADDRESS: listenAddress,
      ...audiences,
      ...tls,
      RESOURCE_API: origins.resourceApi,
      RESOURCE_API_PORT: String(ports.resourceApi),
      OPERATIONS_PORT: String(ports.resourceApiOperations),
      DATABASE_URL: urlAs(ownerUrl, 'bankside_resource_api'),
      JWKS_URI: `${origins.issuer}/jwks`,
      AUDIT_PUBLIC_KEYS_FILE: placesIn(home).auditPublicKeys,
      CLIENT_CRL_URLS: revocationListOf(origins.directory),
      CLIENT_OCSP: 'on',
      ISSUER_CA_FILE: files.caFile,
    }),
    service('worker', {
      ...all,
      OPERATIONS_PORT: String(ports.workerOperations),
      NOTIFICATION_KEYS_FILE: placesIn(home).notificationKey,
      OUTBOUND_CA_FILE: files.caFile,
      OUTBOUND_PRIVATE_HOSTS: 'localhost',
      REGISTERS: JSON.stringify([{ issuer: directoryIssuer, uri: `${origins.directory}/organisations` }]),
      DATABASE_URL: urlAs(ownerUrl, 'bankside_worker'),
      SEALER_DATABASE_URL: urlAs(ownerUrl, 'bankside_sealer'),
      AUDIT_KEYS_FILE: placesIn(home).auditKeys,
      AUDIT_CHECKPOINTS: placesIn(home).auditCheckpoints,
    }),
    directoryService(settings, files),
  ]
}

/** Somebody else's, as far as the product can tell. */
function directoryService({ ports, logLevel, home }: Settings, files: SandboxFiles): Service {
  return {
    name: 'directory',
    file: join(repository, 'sandbox', 'directory', 'main.ts'),
    environment: {
      LOG_LEVEL: logLevel,
      NODE_ENV: 'production',
      LISTEN_ADDRESS: listenAddress,
      DIRECTORY: originsOf(ports).directory,
      DIRECTORY_PORT: String(ports.directory),
      DIRECTORY_FOLDER: placesIn(home).directory,
      TLS_RSA_KEY_FILE: files.serverRsa.keyFile,
      TLS_RSA_CERT_FILE: files.serverRsa.certFile,
      TLS_EC_KEY_FILE: files.serverEc.keyFile,
      TLS_EC_CERT_FILE: files.serverEc.certFile,
      AUTHORITY_CERT_FILE: files.caFile,
      AUTHORITY_KEY_FILE: files.caKeyFile,
    },
  }
}

const revocationListOf = (directory: string): string => `${directory}/revoked.crl`

/** A production server names other trust anchors here, and nothing else is different (SBX-02). */
const trustInDirectory = (directory: string) => ({
  DIRECTORIES: JSON.stringify([
    {
      issuer: directoryIssuer,
      environment: 'test',
      jwks_uri: `${directory}/jwks`,
      key_hosts: [new URL(directory).host],
      authorities: { [testAuthority.inStatements]: testAuthority.inCertificates },
    },
  ]),
  ORGANISATION_ID: bankOrganisationId,
  CLIENT_CRL_URLS: revocationListOf(directory),
  CLIENT_OCSP: 'on',
})

function service(name: string, environment: Record<string, string>): Service {
  return { name, file: join(repository, name, 'main.ts'), environment }
}
