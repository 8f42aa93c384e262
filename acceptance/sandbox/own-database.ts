import { randomBytes } from 'node:crypto'
import pg from 'pg'

export type OwnDatabase = { readonly url: string; drop(): Promise<void> }

/** An empty database on the PostgreSQL that the whole test run shares. The sandbox migrates it itself, as it would a new one. */
export async function createOwnDatabase(serverUrl: string): Promise<OwnDatabase> {
  const name = `bankside_sandbox_${randomBytes(8).toString('hex')}`
  await administer(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => administer(serverUrl, `drop database if exists ${name} with (force)`) }
}

async function administer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** One question to a database, as its owner. */
export async function askDatabase<Row extends pg.QueryResultRow>(
  url: string,
  question: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(question, [...values])).rows
  } finally {
    await client.end()
  }
}
