import type { Target } from '../targets/target.ts'
import { authentication, checkToken } from './client-credentials.ts'
import { authoriseMany } from './code-flow.ts'
import { formatRequest } from './connection.ts'
import { expectStatus, type Path } from './path.ts'
import { dpopProof } from './signing.ts'

/** As many consents are renewed as there are connections. */
const tokensPerTarget = 16
const tokensOf = new WeakMap<Target, readonly string[]>()

export const refresh: Path = {
  name: 'refresh, DPoP',
  consistsOf: 'POST /token with grant_type=refresh_token, a private_key_jwt assertion and a DPoP proof, both new each time',
  leastRatio: 2.3,
  connects: ({ issuer, ca }) => ({ origin: issuer, credentials: { ca } }),
  prepare: async (target, count) => {
    const tokens = tokensOf.get(target) ?? (await authoriseMany(target, tokensPerTarget)).map(refreshTokenOf)
    tokensOf.set(target, tokens)
    const requests = Array.from({ length: count }, (_, index) => refreshRequest(target, tokens[index % tokens.length] ?? ''))
    const answers: string[] = []
    return {
      perform: async (connection, index) => {
        const answer = await connection.send(requests[index] ?? '')
        expectStatus('POST /token', 200, answer)
        answers.push(answer.body)
      },
      check: () => {
        for (const answer of answers) checkToken(target.client, answer)
      },
    }
  },
}

const refreshTokenOf = (answer: string) => (JSON.parse(answer) as { refresh_token: string }).refresh_token

function refreshRequest({ client, issuer }: Target, token: string): string {
  return formatRequest({
    method: 'POST',
    origin: issuer,
    path: '/token',
    headers: { dpop: dpopProof(client.proofKey, 'POST', `${issuer}/token`) },
    form: { grant_type: 'refresh_token', refresh_token: token, ...authentication(client, issuer) },
  })
}
