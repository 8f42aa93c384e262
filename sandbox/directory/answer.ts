import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Credential } from '@bankside/certs/authority'
import { answerOcsp } from '@bankside/certs/ocsp-responder'
import { issueRevocationList } from '@bankside/certs/revocation-list'
import { publicKeys } from '@bankside/certs/signing-keys'
import type { Clock } from '@bankside/service-kit/clock'
import type { DirectoryFiles } from './files.ts'
import { issueStatement, organisationClaims } from './statement.ts'

export type Directory = { readonly files: DirectoryFiles; readonly origin: string; readonly authority: Credential; readonly clock: Clock }
type Answer = { readonly type: string; readonly body: string | Buffer }

/** A list is made with each request; this is how long it may serve whoever cannot make another. */
const listLastsMs = 24 * 3_600_000
const responseLastsMs = 3_600_000
const json = (content: unknown): Answer => ({ type: 'application/json', body: JSON.stringify(content) })

/** All that the directory answers: keys, statements, its register, and what its authority has taken back. Nothing of it is secret. */
export async function answerDirectory(directory: Directory, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const found = await (request.method === 'POST' ? answerPost(directory, request) : answerFor(directory, request.url ?? ''))
  if (found === undefined) return void response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not_found"}')
  response.writeHead(200, { 'content-type': found.type, 'cache-control': 'no-store' }).end(found.body)
}

const requestAtMostBytes = 4_096

/** Whether a certificate was taken back, asked one by one (RFC 6960). */
async function answerPost({ files, authority, clock }: Directory, request: IncomingMessage): Promise<Answer | undefined> {
  if (request.url !== '/ocsp') return undefined
  const asked = await bodyOf(request)
  const now = clock.now()
  const revoked = new Map(files.revoked().map(({ serialNumber, revokedAt }) => [serialNumber, new Date(revokedAt)]))
  const statusOf = (serialNumber: string) => {
    const revokedAt = revoked.get(serialNumber)
    return revokedAt === undefined ? 'good' : { revokedAt }
  }
  const nextUpdate = new Date(now.getTime() + responseLastsMs)
  return { type: 'application/ocsp-response', body: answerOcsp(asked, { signer: authority, statusOf, now, nextUpdate }) }
}

/** What is too long is cut short, and understood by nobody. */
async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += (chunk as Buffer).length
    if (length > requestAtMostBytes) break
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

async function answerFor({ files, origin, authority, clock }: Directory, path: string): Promise<Answer | undefined> {
  const now = clock.now()
  if (path === '/jwks') return json(publicKeys(await files.keys()))
  if (path === '/revoked.crl') {
    const revoked = files.revoked().map(({ serialNumber, revokedAt }) => ({ serialNumber, revokedAt: new Date(revokedAt) }))
    const nextUpdate = new Date(now.getTime() + listLastsMs)
    return { type: 'application/pkix-crl', body: await issueRevocationList(authority, { revoked, now, nextUpdate }) }
  }
  const [, organisationId] = /^\/organisations\/([0-9a-zA-Z]{1,35})$/.exec(path) ?? []
  if (organisationId !== undefined) {
    const ofOrganisation = files.all().find(({ organisation }) => organisation.directoryId === organisationId)
    return ofOrganisation && json(organisationClaims(ofOrganisation))
  }
  const [, softwareId = '', what = ''] = /^\/software\/([0-9a-zA-Z]{1,22})\/([a-z-]+)$/.exec(path) ?? []
  const software = files.software(softwareId)
  if (software === undefined) return undefined
  switch (what) {
    case 'jwks':
      return json(files.publicKeys(softwareId) ?? { keys: [] })
    case 'revoked-jwks':
      return json({ keys: [] })
    case 'statement':
      return { type: 'application/jwt', body: await issueStatement({ software, origin, keys: await files.keys(), now }) }
    default:
      return undefined
  }
}
