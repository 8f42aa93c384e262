import type { ProofClient, Target } from '../targets/target.ts'
import { formatRequest } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'
import { clientAssertion, decodeClaims, dpopProof } from './signing.ts'

export const clientCredentials: Path = {
  name: 'client credentials, DPoP',
  leastRatio: 2.5,
  consistsOf: 'POST /token with grant_type=client_credentials, a private_key_jwt assertion and a DPoP proof, both new each time',
  connects: ({ issuer, ca }) => ({ origin: issuer, credentials: { ca } }),
  prepare: async (target, count) => {
    const clients = target.clients ?? [target.client]
    const clientOf = (index: number) => clients[index % clients.length] ?? target.client
    const requests = Array.from({ length: count }, (_, index) => tokenRequest(target, clientOf(index)))
    const answers: string[] = []
    return {
      perform: async (connection, index) => {
        const answer = await connection.send(requests[index] ?? '')
        expectStatus('POST /token', 200, answer)
        answers[index] = answer.body
      },
      check: () => answers.forEach((answer, index) => void checkToken(clientOf(index), answer)),
    }
  },
}

function tokenRequest({ issuer }: Target, client: ProofClient): string {
  return formatRequest({
    method: 'POST',
    origin: issuer,
    path: '/token',
    headers: { dpop: dpopProof(client.proofKey, 'POST', `${issuer}/token`) },
    form: { grant_type: 'client_credentials', scope: 'accounts', ...authentication(client, issuer) },
  })
}

export function authentication({ clientId, key }: Pick<ProofClient, 'clientId' | 'key'>, issuer: string): Record<string, string> {
  return {
    client_id: clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: clientAssertion(key, clientId, issuer),
  }
}

/** A token is worth counting when it is bound to our key, for our client, and in force. */
export function checkToken(client: ProofClient, body: string, wanted = 'accounts'): void {
  const { token_type, access_token, scope } = JSON.parse(body) as Record<string, string>
  const claims = decodeClaims(access_token ?? '')
  const isScoped = scope?.split(' ').includes(wanted)
  const bound = (claims['cnf'] as { jkt?: string } | undefined)?.jkt === client.proofKey.thumbprint
  if (token_type !== 'DPoP' || !bound || claims['client_id'] !== client.clientId || !isScoped)
    throw new UnexpectedAnswer(`a token that is not bound, not ours or without its scope: ${body.slice(0, 300)} ${JSON.stringify(claims)}`)
}

const many = 1_000
const few = 20

/** What it costs to have many clients: the product against itself. */
export const manyClients: Path = {
  ...clientCredentials,
  name: `client credentials, ${many.toLocaleString('en-GB')} clients`,
  consistsOf: `the same, ${many.toLocaleString('en-GB')} clients in turn, against ${few} clients in turn`,
  leastRatio: 0.85,
  sidesFrom: async ([target]) => {
    const clients = await target.registerClients(many)
    return [
      { ...target, name: `${many} clients`, clients },
      { ...target, name: `${few} clients`, clients: clients.slice(0, few) },
    ]
  },
}
