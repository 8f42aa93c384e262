/** `npm start`: everything on this machine, until Ctrl-C. */
import { accessSync, constants, existsSync, mkdirSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DemoCustomer } from '@bankside/bank/sandbox/demo-data'
import { ensureSandboxFiles, type SandboxFiles } from '@bankside/certs/sandbox-files'
import { systemClock } from '@bankside/service-kit/clock'
import { runningPort } from '@bankside/service-kit/embedded-postgres'
import { tryLock } from '@bankside/service-kit/folder-lock'
import { approvalUrlOf, openApprovalDesk } from './approval-desk/approval-desk.ts'
import { clientRegistrations, equipmentOf, type SandboxRegistration } from './client-registrations.ts'
import { startDatabase } from './database.ts'
import { demoClients } from './demo-clients.ts'
import { bankOrganisationId, directoryIssuer } from './directory/software.ts'
import { fillSandbox, redirectUriOf } from './fill-sandbox.ts'
import { refuseTakenPorts } from './free-ports.ts'
import { readGivenClients } from './given-clients.ts'
import { keyFilesOf, rotateOnSchedule } from './key-rotation.ts'
import { explain, Interrupted, Problem } from './problem.ts'
import { removeSandboxFile, type SandboxFile, writeSandboxFile } from './sandbox-file.ts'
import { ensureAuditKeys, ensureNotificationKey, ensureSecrets, writePublicAuditKeys } from './secrets.ts'
import { servicesOf } from './services.ts'
import { originsOf, placesIn, readSettings, type Settings } from './settings.ts'
import { startPage } from './start-page.ts'
import { endLeftOvers, supervise } from './supervisor.ts'

const spaceNeededBytes = 200_000_000
const say = (line: string) => console.error(line)

const stopping = Promise.withResolvers<void>()
const interrupted = { yet: false }
process.exitCode = await main()
process.disconnect?.()

/** Whatever was begun is ended in the opposite order, also when the start fails or is interrupted half way. */
async function main(): Promise<number> {
  listenForTheEnd()
  try {
    await using begun = new AsyncDisposableStack()
    const settings = readSettings()
    await start(settings, begun)
    await stopping.promise
    say('Stopping. The data stay.')
    return 0
  } catch (error) {
    if (error instanceof Interrupted) return 0
    console.error(`\n${explain(error)}\n`)
    return 1
  }
}

/** Ctrl-C may arrive more than once: from the terminal, from npm and from run.mjs. The last of those is gone on a disconnect. */
function listenForTheEnd(): void {
  const end = () => {
    interrupted.yet = true
    stopping.resolve()
  }
  for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect']) process.on(event, end)
}

async function start(settings: Settings, begun: AsyncDisposableStack): Promise<void> {
  const startedAt = performance.now()
  const step = async <Result>(work: Result | Promise<Result>): Promise<Result> => {
    const result = await work
    if (interrupted.yet) throw new Interrupted()
    return result
  }
  const places = placesIn(settings.home)
  const isNew = !existsSync(places.secrets)
  prepareFolder(settings.home)
  takeFolder(settings.home, begun)
  await step(endLeftOvers(places.processes))
  const isPostgresRunning = settings.databaseUrl !== undefined || runningPort(places.postgres) !== undefined
  await step(refuseTakenPorts(settings.ports, { exceptPostgres: isPostgresRunning }))
  if (isNew) say(`Setting up a sandbox in ${settings.home}.`)

  const dataKey = ensureSecrets(places.secrets)
  ensureNotificationKey(places.notificationKey)
  await step(ensureAuditKeys(places.auditKeys, `localhost:${settings.ports.issuer}/audit`))
  writePublicAuditKeys(places.auditKeys, places.auditPublicKeys)
  const given = readGivenClients(settings.clientsFile)
  const toEquip = [...demoClients, ...equipmentOf(given)]
  const certificates = ensureSandboxFiles({ folder: places.certificates, clients: toEquip, now: systemClock.now() })
  const redirectUri = redirectUriOf(settings)
  const audience = originsOf(settings.ports).ukAudience
  const registrations = certificates.then((files) =>
    clientRegistrations({ files, redirectUri, audience, given, givenPath: settings.clientsFile }),
  )
  registrations.catch(() => {})
  // What is wrong with the file is said before anything is begun.
  if (settings.clientsFile !== undefined) await step(registrations)
  const database = await startDatabase(settings)
  begun.defer(() => database.stop())
  const files = await step(certificates)
  const clients = await step(registrations)
  const customers = await step(fillSandbox({ settings, ownerUrl: database.ownerUrl, dataKey, clients }))

  const services = servicesOf(settings, database.ownerUrl, files)
  const supervisor = await supervise({ services, logs: places.logs, processes: places.processes, say })
  begun.defer(() => supervisor.stop())
  begun.defer(rotateOnSchedule(keyFilesOf(places), { clock: systemClock, say }))
  const desk = await openApprovalDesk({ settings, ownerUrl: database.ownerUrl, files, customers, clock: systemClock, say })
  begun.defer(() => desk.stop())
  await step(undefined)
  begun.defer(() => removeSandboxFile(places.sandboxFile))
  writeSandboxFile(places.sandboxFile, describe(settings, { files, customers, clients }))
  const seconds = (performance.now() - startedAt) / 1000
  console.log(startPage(settings, customers, { seconds, colour: process.stdout.isTTY === true }))
}

/** @throws {Problem} for a folder that cannot be used. */
function prepareFolder(home: string): void {
  try {
    if (existsSync(home)) accessSync(home, constants.W_OK | constants.X_OK)
    // As root, PostgreSQL runs as another user, who must get through. Where nothing can be made, as in /proc, Node's
    // recursive mkdir does not end: so it is used only when it is needed.
    else mkdirSync(home, { recursive: !existsSync(dirname(home)), mode: process.getuid?.() === 0 ? 0o711 : 0o700 })
  } catch (error) {
    throw new Problem(
      `The folder ${home} cannot be used (${(error as NodeJS.ErrnoException).code}). Choose another one with BANKSIDE_HOME.`,
    )
  }
  const { bavail, bsize } = statfsSync(home)
  if (bavail * bsize < spaceNeededBytes) {
    throw new Problem(
      `The disk that holds ${home} is full: a sandbox needs ${spaceNeededBytes / 1_000_000} MB. Make room, or choose another folder with BANKSIDE_HOME.`,
    )
  }
}

/** @throws {Problem} when another sandbox runs in this folder. */
function takeFolder(home: string, begun: AsyncDisposableStack): void {
  const lock = tryLock(placesIn(home).startLock)
  if ('heldBy' in lock) {
    throw new Problem(
      `A sandbox is running in ${home} already (process ${lock.heldBy.pid}). Stop it with Ctrl-C where it was started,\n` +
        'or start another one beside it: BANKSIDE_HOME=<another folder> BANKSIDE_PORT_BASE=5430 npm start',
    )
  }
  begun.defer(() => lock.release())
}

function describe(
  settings: Settings,
  { files, customers, clients }: { files: SandboxFiles; customers: readonly DemoCustomer[]; clients: readonly SandboxRegistration[] },
): SandboxFile {
  const origins = originsOf(settings.ports)
  return {
    issuer: origins.issuer,
    mtls_issuer: origins.mtlsIssuer,
    resource_api: origins.resourceApi,
    portal: null,
    ca_file: files.caFile,
    server_cert_file: files.serverRsa.certFile,
    server_key_file: files.serverRsa.keyFile,
    automated_ciba_approval_url: approvalUrlOf(settings),
    audiences: { uk_open_banking: origins.ukAudience, bank_api: origins.bankAudience },
    registration: { endpoint: `${origins.mtlsIssuer}/register`, audience: bankOrganisationId },
    directory: {
      issuer: directoryIssuer,
      origin: origins.directory,
      jwks_uri: `${origins.directory}/jwks`,
      revocation_list_uri: `${origins.directory}/revoked.crl`,
    },
    customers: customers.map(({ username, password, totpSecret, accounts }) => ({
      username,
      password,
      totp_secret: totpSecret,
      accounts: accounts.map(({ accountId, currency, sortCode, accountNumber, iban }) => ({
        id: accountId,
        currency,
        sort_code: sortCode,
        account_number: accountNumber,
        iban,
      })),
    })),
    clients: clients.map(({ described }) => described),
  }
}
