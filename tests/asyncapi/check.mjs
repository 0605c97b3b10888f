// Parse the AsyncAPI document given as argument and print the parser's complaints as JSON.
import { readFile } from 'node:fs/promises';
import { Parser } from '@asyncapi/parser';

const { document, diagnostics } = await new Parser().parse(await readFile(process.argv[2], 'utf8'));
const complaints = diagnostics.map(({ severity, message, path }) => ({ severity, message, path }));
console.log(JSON.stringify({ accepted: document !== undefined, complaints }));
