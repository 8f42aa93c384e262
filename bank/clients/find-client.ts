import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { type Client, clientColumns, clientRow, toClient } from './client.ts'

/** A client whatever its status: undefined only when there never was one. */
export async function findClient(tx: Transaction, clientId: string): Promise<Client | undefined> {
  const row = await tx.maybeOne(sql.type(clientRow)`select ${clientColumns} from clients.client where client_id = ${clientId}`)
  return row === null ? undefined : toClient(row)
}
