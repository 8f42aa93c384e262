import { randomBytes } from 'node:crypto'
import { forConsent, pushRequest } from './code-flow.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'

/** Requests may name one consent as often as they like while it waits. */
const consentsPerRound = 16

export const pushedRequest: Path = {
  name: 'PAR',
  consistsOf: 'POST /par with a new private_key_jwt assertion, for an account-access consent that waits',
  leastRatio: 2.3,
  connects: ({ issuer, ca }) => ({ origin: issuer, credentials: { ca } }),
  prepare: async (target, count) => {
    const consents = await target.lodgeConsents(consentsPerRound)
    const requests = Array.from({ length: count }, (_, index) =>
      pushRequest(target, forConsent(target, consents[index % consents.length] ?? ''), randomBytes(32).toString('base64url')),
    )
    const answers: string[] = []
    return {
      perform: async (connection, index) => {
        const answer = await connection.send(requests[index] ?? '')
        expectStatus('POST /par', 201, answer)
        answers.push(answer.body)
      },
      check: () => {
        const uris = new Set(answers.map((answer) => (JSON.parse(answer) as { request_uri: string }).request_uri))
        if (uris.size !== answers.length) throw new UnexpectedAnswer('request URIs are not all different')
      },
    }
  },
}
