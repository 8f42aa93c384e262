/** Makes the files that docker-compose.yml names as secrets, for a trial on this machine. What is there stays. */
import { randomBytes } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureSandboxFiles } from '@bankside/certs/sandbox-files'
import { systemClock } from '@bankside/service-kit/clock'
import { redisUsers } from '@bankside/service-kit/redis'
import { demoClients } from './demo-clients.ts'
import { explain } from './problem.ts'
import { ensureAuditKeys, ensureNotificationKey, ensureSecrets, newSecret, writePublicAuditKeys } from './secrets.ts'
import { readSettings } from './settings.ts'

if (import.meta.main) {
  try {
    const folder = join(readSettings().home, 'compose')
    await prepareCompose(folder, { redis: process.argv.includes('--redis') })
    console.log(`The secrets are in ${folder}. Next: docker compose up --build`)
  } catch (error) {
    console.error(explain(error))
    process.exitCode = 1
  }
}

export async function prepareCompose(folder: string, { redis = false } = {}): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const secret = (name: string, make: () => string): string => {
    const path = join(folder, name)
    if (!existsSync(path)) writeFileSync(path, make(), { mode: 0o600 })
    return readFileSync(path, 'utf8')
  }
  const password = () => randomBytes(24).toString('base64url')
  const owner = secret('owner_password', password)
  secret('owner_database_url', () => databaseUrl('bankside', owner))
  for (const name of ['auth_server', 'resource_api', 'worker', 'sealer']) {
    const own = secret(`${name}_password`, password)
    secret(`${name}_database_url`, () => databaseUrl(`bankside_${name}`, own))
  }
  await prepareSealing(folder)
  prepareRedis(folder, redis)
  const keys = join(folder, 'keys')
  mkdirSync(keys, { recursive: true, mode: 0o700 })
  ensureSecrets(join(keys, 'auth_server_secrets'))
  const notification = join(folder, 'notification')
  mkdirSync(notification, { recursive: true, mode: 0o700 })
  ensureNotificationKey(join(notification, 'keys'))
  await copyCertificates(folder)
}

/** The keys are in a folder, where they can be renewed; once they were a file that could not. The log keeps its name and keys. */
async function prepareSealing(folder: string): Promise<void> {
  const [single, keys] = [join(folder, 'audit_keys'), join(folder, 'sealing', 'keys')]
  for (const name of ['audit', 'sealing']) mkdirSync(join(folder, name), { recursive: true, mode: 0o700 })
  if (existsSync(single) && !existsSync(keys)) renameSync(single, keys)
  await ensureAuditKeys(keys, 'bankside.example/audit')
  writePublicAuditKeys(keys, join(folder, 'audit-public', 'keys'))
}

/** Without Redis the file with its URL is there and empty: an empty setting is none. */
function prepareRedis(folder: string, wanted: boolean): void {
  const [conf, url] = [join(folder, 'redis_conf'), join(folder, 'redis_url')]
  mkdirSync(join(folder, 'redis'), { recursive: true, mode: 0o700 })
  const isThere = existsSync(url) && readFileSync(url, 'utf8') !== ''
  if (isThere || (existsSync(conf) && existsSync(url) && !wanted)) return
  const password = newSecret()
  const lines = [...redisUsers(password), 'dir /data', 'save ""', 'appendonly yes', 'appendfsync always', 'maxmemory-policy noeviction']
  writeFileSync(conf, `${lines.join('\n')}\n`, { mode: 0o600 })
  writeFileSync(url, wanted ? `redis://bankside:${password}@redis:6379` : '', { mode: 0o600 })
}

function databaseUrl(user: string, password: string): string {
  return `postgresql://${user}:${password}@postgres:5432/bankside`
}

async function copyCertificates(folder: string): Promise<void> {
  const files = await ensureSandboxFiles({
    folder: join(folder, 'certs'),
    clients: demoClients,
    now: systemClock.now(),
    otherNames: ['auth-server', 'resource-api'],
  })
  const copies = {
    tls_rsa_key: files.serverRsa.keyFile,
    tls_rsa_cert: files.serverRsa.certFile,
    tls_ec_key: files.serverEc.keyFile,
    tls_ec_cert: files.serverEc.certFile,
    client_ca: files.caFile,
  }
  // Kept once they are there: they change by rotation only.
  const signingKeys = join(folder, 'keys', 'signing_keys')
  if (!existsSync(signingKeys)) copyFileSync(files.signingKeysFile, signingKeys)
  for (const [name, source] of Object.entries(copies)) copyFileSync(source, join(folder, name))
}
