import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;

/** What Java thinks it may use: a JSON object for every line of standard input. */
class View {
    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        Runtime here = Runtime.getRuntime();
        while (lines.readLine() != null) {
            System.out.println("{\"available_processors\": " + here.availableProcessors()
                + ", \"max_memory_bytes\": " + here.maxMemory() + "}");
        }
    }
}
